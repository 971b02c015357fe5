"""Checks that several requests share. Each raises InvalidRequest, which names the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jobs.stored_text import is_storable
from nclscreen.services.errors import InvalidRequest

T = TypeVar("T")


def text(field: str, value: str) -> str:
    """Text that databases can keep."""
    if not is_storable(value):
        raise InvalidRequest(field, f"{value!r} is not text")
    return value


def short_text(field: str, value: str | None, limit: int) -> str | None:
    """Text of 1 to `limit` characters, or none."""
    if value is not None and (not value.strip() or len(text(field, value)) > limit):
        raise InvalidRequest(field, f"takes 1 to {limit} characters")
    return value


def parsed(field: str, parse: Callable[[], T]) -> T:
    """What `parse` gives; its ValueError is the field's fault."""
    try:
        return parse()
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field, str(error)) from None


def within(field: str, value: float | None, low: float, high: float) -> None:
    """A number from `low` to `high`; not a number is none of them."""
    if value is not None and not low <= value <= high:
        raise InvalidRequest(field, f"{value:g} is not from {low:g} to {high:g}")
