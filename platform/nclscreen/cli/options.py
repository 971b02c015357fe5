"""How the command line spells the fields of requests."""

from __future__ import annotations

from nclscreen.services.errors import InvalidRequest

#: fields that are not called as their option is
_SPELLED = {
    "suffixes": "--suffix",
    "tags": "--tag",
    "codes": "--code",
    "config": "CONFIG",
    "changes": "--set",
    "source": "SOURCE",
    "drawing": "--mask, --scribbles",
}


def option(field: str) -> str:
    """The option, or the argument, for a field of a request."""
    return _SPELLED.get(field) or f"--{field.replace('_', '-')}"


def told(error: InvalidRequest) -> str:
    """What is wrong with a request, as whoever typed it needs to know."""
    return f"{option(error.field)}: {error.reason}"
