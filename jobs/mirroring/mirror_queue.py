"""What has to be copied, as slow work: a row for each thing and each place it is copied to, done once it is there.

Nobody who ends a run or moves an alias knows of the copies. Who copies looks for what has no row yet, and writes one;
the unique key (kind, subject) makes it one, and its lease makes it one holder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Engine,
    Text,
    cast,
    delete,
    exists,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.exc import IntegrityError

from jobs.domain import Work, WorkKind, WorkState
from jobs.domain.retraining import OVER
from jobs.leased_work.enqueueing import enqueue, enqueue_new
from jobs.leased_work.leases import WorkLeases
from jobs.sql.database import reading, writing
from jobs.sql.model_tables import alias_moves, model_versions, retraining_runs
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import leased_work

#: pauses before what was refused is tried again; then it is given up until a dispatcher starts anew
PAUSES_S = (10.0, 60.0, 300.0, 1800.0)
#: rows of one transaction
_AT_ONCE = 500
_OVER = [state.value for state in OVER]
_w = leased_work.c


def target_of(uri: str, experiment: str) -> str:
    """What a place is known by, whoever's password is used to get there."""
    parts = urlsplit(uri)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')} {experiment}"
    return hashlib.sha256(place.encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """What is not copied yet."""

    runs: int
    versions: int
    moves: int
    #: of them, those that were given up
    given_up: int
    #: what was said when one of them was tried last
    why: str | None


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them: `what` is run, version or move; `name` a run's id, a fingerprint, an alias and a number."""

    what: str
    name: str


class MirrorQueue:
    """The copies at one place of what is in one database."""

    def __init__(self, engine: Engine, target: str, clock: Clock = database_clock) -> None:
        """`target`: see `target_of`."""
        self._engine = engine
        self._target = target
        self.work = WorkLeases(engine, clock)

    def fill(self) -> int:
        """Have copied what nobody has thought of yet; gives how many there were. Raises one of DATABASE_AWAY."""
        due = self._due().subquery()
        unknown = select(due.c.subject, due.c.priority).where(~self._has_row(due.c.subject))
        with reading(self._engine) as connection:
            found = connection.execute(unknown.order_by(due.c.priority.desc(), due.c.at).limit(_AT_ONCE)).all()
        if not found:
            return 0
        try:
            with writing(self._engine) as connection:
                for row in found:
                    enqueue_new(connection, WorkKind.MIRRORING, row.subject, priority=row.priority)
        except IntegrityError:
            return 0  # another dispatcher was first; the next look finds what is left
        return len(found)

    def revive(self) -> None:
        """Have tried once more what was given up: whoever starts anew may have mended it."""
        given_up = select(_w.subject, _w.priority).where(*self._mine(WorkState.FAILED))
        with writing(self._engine) as connection:
            for row in connection.execute(given_up).all():
                enqueue(connection, WorkKind.MIRRORING, row.subject, priority=row.priority)

    def thing(self, work: Work) -> Thing | None:
        """What a piece of work is about; None where it is to be copied to another place."""
        named, _, target = work.subject.rpartition("@")
        what, _, name = named.partition("/")
        return Thing(what, name) if target == self._target else None

    def done(self, work: Work) -> None:
        """It is there. Raises WorkLost."""
        with writing(self._engine) as connection:
            self.work.finish_in(connection, work)

    def refused(self, work: Work, why: str) -> None:
        """It is not taken there: again after a pause, some times. Raises WorkLost."""
        pause_s = PAUSES_S[work.attempt - 1] if work.attempt <= len(PAUSES_S) else None
        self.work.fail(work, why, again_after_s=pause_s)

    def forget(self, work: Work) -> None:
        """Leave it to those who copy to that place: they write the row again. Raises WorkLost."""
        with writing(self._engine) as connection:
            self.work.hold_in(connection, work)
            connection.execute(delete(leased_work).where(_w.id == work.id))

    def behind(self) -> Behind:
        """What is missing there. Raises one of DATABASE_AWAY."""
        due = self._due().subquery()
        missing = select(due.c.priority, func.count()).where(~self._has_row(due.c.subject, WorkState.DONE))
        said = select(_w.error).where(*self._mine(WorkState.QUEUED, WorkState.LEASED, WorkState.FAILED))
        with reading(self._engine) as connection:
            counts = {int(each): int(count) for each, count in connection.execute(missing.group_by(due.c.priority))}
            given_up = select(func.count()).select_from(leased_work).where(*self._mine(WorkState.FAILED))
            return Behind(
                runs=counts.get(_RUN, 0),
                versions=counts.get(_VERSION, 0),
                moves=counts.get(_MOVE, 0),
                given_up=int(connection.execute(given_up).scalar_one()),
                why=connection.execute(
                    said.where(_w.error.is_not(None)).order_by(_w.not_before.desc(), _w.id).limit(1)
                ).scalar(),
            )

    def _due(self) -> CompoundSelect[Any]:
        """All that is to be there; what a run made comes after the run."""
        runs, versions, moves = retraining_runs.c, model_versions.c, alias_moves.c
        number = cast(moves.number, Text)
        return union_all(
            self._listed("run", runs.id, _RUN, runs.created_at).where(runs.state.in_(_OVER)),
            self._listed("version", versions.fingerprint, _VERSION, versions.created_at).where(_over(versions.run_id)),
            self._listed("move", moves.alias + "/" + number, _MOVE, moves.moved_at).where(_over(moves.run_id)),
        )

    def _listed(self, what: str, name: ColumnElement[Any], priority: int, at: ColumnElement[Any]) -> Any:
        subject = literal(f"{what}/") + name + literal(f"@{self._target}")
        return select(subject.label("subject"), literal(priority).label("priority"), at.label("at"))

    def _mine(self, *states: WorkState) -> tuple[ColumnElement[bool], ...]:
        kind = _w.kind == WorkKind.MIRRORING.value
        return kind, _w.state.in_([state.value for state in states]), _w.subject.endswith(f"@{self._target}")

    @staticmethod
    def _has_row(subject: ColumnElement[Any], state: WorkState | None = None) -> ColumnElement[bool]:
        row = exists().where(_w.kind == WorkKind.MIRRORING.value, _w.subject == subject)
        return row if state is None else row.where(_w.state == state.value)


#: priorities: what others refer to goes first
_RUN, _VERSION, _MOVE = 3, 2, 1


def _over(run_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Not while its run goes on, so that it can name it."""
    going_on = exists().where(retraining_runs.c.id == run_id, retraining_runs.c.state.not_in(_OVER))
    return ~going_on
