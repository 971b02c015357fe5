"""`nclscreen --api URL ...`: the commands that another machine's API answers, with the names they have here."""

from nclscreen.cli.remote.app import asked_from_afar, build_remote_app, remote_address

__all__ = ["asked_from_afar", "build_remote_app", "remote_address"]
