"""Fields of a configuration that know what they may hold, so that every mistake is told in one way.

``number``, ``whole``, ``choice``, ``switch`` and ``text`` declare dataclass fields; ``check_fields`` holds an
instance against them.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ncl_model.errors import ConfigInvalid

_KEY = "allowed"


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What one field may hold."""

    kind: type
    #: smallest and largest value of a number, both allowed
    low: float = -math.inf
    high: float = math.inf
    #: the values of a choice; empty for anything of the kind
    among: tuple[str, ...] = ()
    #: whether the field may be left empty (None)
    optional: bool = False

    def words(self) -> str:
        """For people: "a number from 0 to 1"."""
        if self.among:
            return f"one of {', '.join(self.among)}"
        names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
        span = ""
        if math.isfinite(self.low) or math.isfinite(self.high):
            high = f" to {self.high:g}" if math.isfinite(self.high) else " on"
            span = f" from {self.low:g}{high}"
        return names[self.kind] + span + (", or nothing" if self.optional else "")

    def fits(self, value: object) -> bool:
        if value is None:
            return self.optional
        if self.kind in (int, float):
            return _is(self.kind, value) and math.isfinite(value) and self.low <= value <= self.high  # type: ignore[operator, arg-type]
        return isinstance(value, self.kind) and (not self.among or value in self.among)


def number(default: float | None, low: float, high: float = math.inf) -> Any:
    """A float field; ``default`` None makes it optional."""
    return _field(default, Allowed(kind=float, low=low, high=high, optional=default is None))


def whole(default: int | None, low: int, high: float = math.inf) -> Any:
    """An int field; ``default`` None makes it optional."""
    return _field(default, Allowed(kind=int, low=low, high=high, optional=default is None))


def choice(default: str, *among: str) -> Any:
    """A field that is one of a few words."""
    return _field(default, Allowed(kind=str, among=among))


def switch(default: bool) -> Any:
    """A bool field."""
    return _field(default, Allowed(kind=bool))


def text(default: str) -> Any:
    """A str field."""
    return _field(default, Allowed(kind=str))


def check_fields(instance: Any) -> None:
    """Hold every declared field against what it may hold; numbers that were written as text become numbers.

    YAML 1.1 reads ``1e-3`` as text, and a whole number is as good as a float. Raises ConfigInvalid.
    """
    for field in dataclasses.fields(instance):
        allowed = field.metadata.get(_KEY)
        if allowed is None:
            continue
        value = _as_number(getattr(instance, field.name)) if allowed.kind is float else getattr(instance, field.name)
        if not allowed.fits(value):
            raise ConfigInvalid(field.name, f"{value!r} is not {allowed.words()}")
        object.__setattr__(instance, field.name, value)


def check_known(values: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises ConfigInvalid for the first key that is not known, with the likeliest one that was meant."""
    names = list(known)
    for key in values:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
            raise ConfigInvalid(str(key), f"unknown field; {hint}")


def _field(default: object, allowed: Allowed) -> Any:
    return dataclasses.field(default=default, metadata={_KEY: allowed})


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _as_number(value: object) -> object:
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            return value
    return value
