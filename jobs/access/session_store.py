"""Sessions: a browser shows a key once, and from then on a word of its own."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Engine, delete, insert, literal, select

from jobs.access.errors import KeyRefused
from jobs.domain.access import Caller
from jobs.sql.access_tables import sessions
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock

#: a working day
SESSION_S = 12 * 3600.0


class SessionStore:
    """The sessions of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def open(self, caller: Caller) -> str:
        """A session for who came with a key; gives its word. Those that have expired are cleared away."""
        word = secrets.token_urlsafe(32)
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= self._clock()))
            connection.execute(
                insert(sessions).values(
                    sha256=_kept(word),
                    key_id=caller.key_id,
                    created_at=self._clock(),
                    expires_at=self._clock() + literal(SESSION_S),
                )
            )
        return word

    def key_id(self, word: str) -> str:
        """The key that opened the session of this word. Raises KeyRefused."""
        wanted = select(sessions.c.key_id).where(
            sessions.c.sha256 == _kept(word), sessions.c.expires_at > self._clock()
        )
        with reading(self._engine) as connection:
            found = connection.execute(wanted).scalar_one_or_none()
        if found is None:
            raise KeyRefused("the session is over")
        return str(found)

    def close(self, word: str) -> None:
        """End it, if there is one."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.sha256 == _kept(word)))


def _kept(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()
