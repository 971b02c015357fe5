"""Model versions, and the thresholds and policies that belong to them."""

from nclscreen.catalog.installed_model import InstalledModel

__all__ = ["InstalledModel"]
