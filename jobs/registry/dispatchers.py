"""Who works on a database, and what their clusters lack: for people who wonder why nothing moves."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, insert, select, update

from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import dispatchers
from jobs.stored_text import storable

#: seconds after which a dispatcher that was not seen counts as gone; rows older than a day are removed
GONE_AFTER_S = 60.0
_REMOVED_AFTER_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardBudget:
    """What screening keeps to while a model is trained."""

    #: shards in flight, at most; at least 1
    at_once: int
    #: the same when nothing is trained
    usual: int

    def __str__(self) -> str:
        return f"a run of retraining trains: {self.at_once} of {self.usual} shards at once"


class Dispatchers:
    """The rows of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def seen(self, name: str, lacks: str | None, budget: ShardBudget | None = None) -> None:
        """This dispatcher works; `lacks`: what its cluster has too little of, for people."""
        values = {
            "seen_at": self._clock(),
            "lacks": storable(lacks),
            "shards_at_once": None if budget is None else budget.at_once,
            "shards_usual": None if budget is None else budget.usual,
        }
        with writing(self._engine) as connection:
            again = update(dispatchers).where(dispatchers.c.name == name).values(**values)
            if not connection.execute(again).rowcount:
                connection.execute(insert(dispatchers).values(name=name, started_at=self._clock(), **values))
            connection.execute(delete(dispatchers).where(dispatchers.c.seen_at < self._clock() - _REMOVED_AFTER_S))

    def leave(self, name: str) -> None:
        """This dispatcher ends."""
        with writing(self._engine) as connection:
            connection.execute(delete(dispatchers).where(dispatchers.c.name == name))

    def at_work(self) -> dict[str, str | None]:
        """Those that were seen lately, by name, each with what its cluster lacks."""
        wanted = select(dispatchers.c.name, dispatchers.c.lacks).where(
            dispatchers.c.seen_at >= self._clock() - GONE_AFTER_S
        )
        with reading(self._engine) as connection:
            return {row.name: row.lacks for row in connection.execute(wanted.order_by(dispatchers.c.name))}

    def budget(self) -> ShardBudget | None:
        """What those that were seen lately keep to together, while they do; None otherwise."""
        sums = select(func.sum(dispatchers.c.shards_at_once), func.sum(dispatchers.c.shards_usual))
        with reading(self._engine) as connection:
            at_once, usual = connection.execute(sums.where(dispatchers.c.seen_at >= self._clock() - GONE_AFTER_S)).one()
        return None if usual is None else ShardBudget(at_once=int(at_once), usual=int(usual))

    def lacking(self) -> str | None:
        """What the clusters lack, when all dispatchers that were seen lately lack something; None otherwise."""
        found = list(self.at_work().values())
        return "; ".join(dict.fromkeys(each for each in found if each)) if found and all(found) else None
