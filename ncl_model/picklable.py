"""Errors that cross process borders whole: workers, replicas and loaders raise them, others catch them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class PicklableError(Exception):
    """An error that is pickled as what it was built from.

    The default remembers the message alone, and gives it to a constructor that wants something else.
    """

    #: what the constructor was given; absent where there is none but Python's own
    _built_from: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **more: Any) -> None:
        # not in __new__: an OSError with one of its own reads the arguments as numbers and names of files
        super().__init_subclass__(**more)
        if "__init__" in vars(cls):
            cls.__init__ = _remembering(cls.__init__)  # type: ignore[method-assign]

    def __reduce__(self) -> tuple[Any, ...]:
        args, fields = getattr(self, "_built_from", (self.args, {}))
        return _build, (type(self), args, fields), vars(self)


def _remembering(build: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(build)
    def remember_and_build(self: PicklableError, *args: Any, **fields: Any) -> None:
        if not hasattr(self, "_built_from"):  # by the class itself, not by those it is derived from
            self._built_from = (args, fields)
        build(self, *args, **fields)

    return remember_and_build


def _build(kind: type[PicklableError], args: tuple[Any, ...], fields: dict[str, Any]) -> PicklableError:
    return kind(*args, **fields)
