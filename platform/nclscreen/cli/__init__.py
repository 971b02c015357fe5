"""The command line. Each module holds the commands of one kind; `app` puts them together."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of the program. Little is imported before it, so that Ctrl-C is quiet from the first moment on."""
    try:
        from nclscreen.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
