"""Spans of a trace, for whoever collects them: unless a program listens, nothing is kept, and nothing is imported.

A job remembers the `traceparent` (W3C Trace Context) of the request that submitted it, and leases carry it: whatever
is done for the job, by whichever process, is of one trace. Attributes are ids and counts, never names of photographs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

Attribute = str | int | float


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """A piece of work that is over, measured where it was done; small enough to travel."""

    name: str
    #: seconds since the epoch, by the clock of that machine
    began: float
    ended: float
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    parts: tuple[Timed, ...] = ()


class Listener(Protocol):
    """Keeps spans. Thread-safe; must be quick, and must not raise."""

    def span(
        self, name: str, parent: str | None, attributes: Mapping[str, Attribute]
    ) -> AbstractContextManager[object]:
        """The block is a span, and the current one in this thread. `parent`: a traceparent; None: the current span."""

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        """More of the current span."""

    def tell(self, timed: Timed, parent: str) -> None:
        """A span that is over."""

    def traceparent(self) -> str | None:
        """Of the current span."""


class _Nobody:
    def span(
        self, name: str, parent: str | None, attributes: Mapping[str, Attribute]
    ) -> AbstractContextManager[object]:
        return nullcontext()

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        pass

    def tell(self, timed: Timed, parent: str) -> None:
        pass

    def traceparent(self) -> str | None:
        return None


_NOBODY = _Nobody()
_listener: Listener = _NOBODY


def listen(listener: Listener | None) -> None:
    """This one hears of all spans of the process from now on; None: nobody does."""
    global _listener  # noqa: PLW0603 - one for the process, as with logging
    _listener = listener or _NOBODY


def span(name: str, parent: str | None = None, **attributes: Attribute) -> AbstractContextManager[object]:
    """See `Listener.span`."""
    return _listener.span(name, parent, attributes)


def note(**attributes: Attribute) -> None:
    """See `Listener.note`."""
    _listener.note(attributes)


def tell(timed: Timed, parent: str) -> None:
    """See `Listener.tell`."""
    _listener.tell(timed, parent)


def traceparent() -> str | None:
    """See `Listener.traceparent`."""
    return _listener.traceparent()
