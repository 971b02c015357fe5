"""What an upgrade of a filled PostgreSQL database asks of its connection: a session of its own, and a lock in it."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, text

from jobs.errors import SessionShared

#: takes what there is to say to whoever waits
Tell = Callable[[str], None]

# any number, the same for every nclscreen: two programs that migrate do so one after the other
_LOCK = 6_172_655_001
_POLL_S = 0.5
_SAID_EVERY_S = 30.0
_LOOKS = 3


def shares_sessions(engine: Engine) -> bool:
    """Whether a pooler in transaction mode (PgBouncer) is between us and PostgreSQL.

    Two open connections are two backends, each the same at every question, unless somebody deals them out anew.
    """
    with engine.connect() as one, engine.connect() as other:
        seen = {(_backend(one), _backend(other)) for _ in range(_LOOKS)}
    return len(seen) > 1 or any(first == second for first, second in seen)


def take_migrator_lock(connection: Connection, tell: Tell) -> None:
    """Nobody else migrates this database meanwhile; waits for whoever does, and says so.

    A lock of the session, which is asked for again and again and never waited for inside PostgreSQL: a transaction that
    waits there would itself be waited for by CREATE INDEX CONCURRENTLY. It ends with the session: close the connection.
    """
    waited = Waiting(tell, "another program migrates this database; waiting for it")
    while not _answer(connection, "SELECT pg_try_advisory_lock(:lock)", lock=_LOCK):
        waited.pause(_POLL_S)


def try_transaction_lock(connection: Connection) -> bool:
    """The same lock until the end of the transaction, if nobody has it."""
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar_one())


def check_lock(connection: Connection) -> None:
    """Raises SessionShared when the session that has the lock is not the one that answers."""
    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
        "AND classid::bigint = :high AND objid::bigint = :low"
    )
    if not _answer(connection, held, high=_LOCK >> 32, low=_LOCK & 0xFFFFFFFF):
        raise SessionShared


class Waiting:
    """Pauses, and says now and then what is waited for."""

    def __init__(self, tell: Tell, what: str) -> None:
        self._tell = tell
        self._what = what
        self._began = time.monotonic()
        self._said: float | None = None

    def pause(self, seconds: float) -> None:
        now = time.monotonic()
        if self._said is None or now - self._said >= _SAID_EVERY_S:
            since = "" if self._said is None else f", for {now - self._began:.0f} s now"
            self._tell(f"{self._what}{since}")
            self._said = now
        time.sleep(seconds)


def _backend(connection: Connection) -> int:
    return int(_answer(connection, "SELECT pg_backend_pid()"))


def _answer(connection: Connection, question: str, **values: int) -> int:
    """One number, and no transaction that stays open: a session's lock outlives it."""
    answer: int = connection.execute(text(question), values).scalar_one()
    connection.commit()
    return answer
