"""The pages: what people see of jobs and verdicts in a browser, and where they decide.

Each page asks the use cases itself. They are complete without JavaScript; with it they are live and quick.
"""

from nclscreen.pages.adding import add_pages

__all__ = ["add_pages"]
