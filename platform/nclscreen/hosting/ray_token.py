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
def own_token(path: Path | None) -> Iterator[None]:
    """A local Ray that is started meanwhile takes its token from our file, which is made if need be.

    `path`: None: no file of ours is wanted. Either way what Ray tells its children and itself of tokens is over with
    the block: the next Ray of this process, here or elsewhere, may have other ones or none.
    """
    mode = os.environ.get(_MODE)
    ours = path is not None and not any(os.environ.get(name) for name in _CHOSEN)
    if path is not None and ours:
        _make(path)
        os.environ[_PATH] = str(path)
    read_tokens_anew()
    try:
        yield
    finally:
        if ours:
            os.environ.pop(_PATH, None)
        os.environ.pop(_MODE, None)  # Ray sets it for its children
        if mode is not None:
            os.environ[_MODE] = mode
        read_tokens_anew()


def read_tokens_anew() -> None:
    """Ray remembers what it found at its first look: the mode in its config, the token in its loader.

    (`reset_auth_token_state` in `ray/_private/authentication_test_utils.py`, Ray 2.60; the order is its own.)
    """
    from ray import _raylet

    config: Any = getattr(_raylet, "Config")  # noqa: B009 - compiled, and without types
    config.initialize("")
    loader: Any = getattr(_raylet, "AuthenticationTokenLoader")  # noqa: B009
    loader.instance().reset_cache()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(file, "w", encoding="ascii") as token:
        token.write(secrets.token_hex(32))
