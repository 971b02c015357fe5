"""The token of a local Ray: a new Ray wants one, and would leave it in the user's own Ray folder.

Found there, it would make every cluster that is started on this machine ask its nodes for it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MODE = "RAY_AUTH_MODE"
_PATH = "RAY_AUTH_TOKEN_PATH"
#: who sets one of these has decided himself
_CHOSEN = (_MODE, "RAY_AUTH_TOKEN", _PATH)


@contextmanager
def own_token(path: Path) -> Iterator[None]:
    """A local Ray that is started meanwhile takes its token from our file, which is made if need be."""
    if any(os.environ.get(name) for name in _CHOSEN):
        yield
        return
    _make(path)
    os.environ[_PATH] = str(path)
    _read_anew()
    try:
        yield
    finally:
        os.environ.pop(_PATH, None)
        os.environ.pop(_MODE, None)  # Ray sets it for its children
        _read_anew()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(file, "w", encoding="ascii") as token:
        token.write(secrets.token_hex(32))


def _read_anew() -> None:
    """Ray remembers what it found at its first look."""
    from ray import _raylet

    loader: Any = getattr(_raylet, "AuthenticationTokenLoader")  # noqa: B009 - compiled, and without types
    loader.instance().reset_cache()
