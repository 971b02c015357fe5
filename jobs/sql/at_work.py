"""Whether anybody works on a database: for what must not be done beside the work."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, dispatchers, leased_work, shards

#: a dispatcher that was seen within so many seconds may be at work; as `jobs.registry.dispatchers` has it
_SEEN_S = 60.0


def at_work(connection: Connection, clock: Clock = database_clock) -> list[str]:
    """Who works, and what is held, in words; nothing where nobody does."""
    seen = select(dispatchers.c.name).where(dispatchers.c.seen_at >= clock() - _SEEN_S).order_by(dispatchers.c.name)
    why = [f"{name} was seen within the last minute" for name in connection.execute(seen).scalars()]
    for table, what in ((shards, "shards"), (leased_work, "pieces of slow work")):
        held = select(func.count()).where(table.c.state == LEASED, table.c.lease_expires_at >= clock())
        if count := connection.execute(held).scalar_one():
            why.append(f"{count:,} {what} are held")
    return why
