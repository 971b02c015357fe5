"""Hosting and faces of nclscreen: settings, wiring, Ray Serve deployment, command line."""

__version__ = "0.1.0"
