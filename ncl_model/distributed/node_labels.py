"""Labels of Ray's nodes, and which nodes somebody asks for: `ray.io/accelerator-type=in(A100,H100)`."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: as Ray takes them (`ray/_private/label_utils.py`, 2.60), which are those of Kubernetes
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:{_NAME}(?:\.{_NAME})*/)?{_NAME}")
_WANTED = re.compile(rf"(!?)(?:({_NAME})|in\(({_NAME}(?:, ?{_NAME})*)\))")
_BETWEEN = re.compile(r",(?![^(]*\))")


def parse_labels(written: str) -> dict[str, str]:
    """`KEY=VALUE`, with commas between several; VALUE may be `!VALUE`, `in(A,B)` or `!in(A,B)`. Raises ValueError."""
    found: dict[str, str] = {}
    for pair in filter(None, map(str.strip, _BETWEEN.split(written))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not _KEY.fullmatch(key) or not _WANTED.fullmatch(value):
            raise ValueError(
                f"{pair!r} is not KEY=VALUE, as in ray.io/accelerator-type=H100 or zone=!b or zone=in(a,b); pairs have "
                "commas between them"
            )
        if key in found:
            raise ValueError(f"{key!r} is named twice")
        found[key] = value
    return found


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a node with these labels is one that is wanted; what is not to be so may also be unknown."""
    return all(_fits(labels.get(key), value) for key, value in wanted.items())


def in_words(wanted: Mapping[str, str]) -> str:
    """As `parse_labels` takes them."""
    return ",".join(f"{key}={value}" for key, value in wanted.items())


def _fits(label: str | None, wanted: str) -> bool:
    found = _WANTED.fullmatch(wanted)
    if found is None:
        return False
    no, one, several = found.groups()
    return (label in ([one] if one else re.split(", ?", several))) != bool(no)
