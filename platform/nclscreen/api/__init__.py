"""The HTTP face: everything people and programs may ask for over the network, on top of the use cases."""

from nclscreen.api.app import create_app

__all__ = ["create_app"]
