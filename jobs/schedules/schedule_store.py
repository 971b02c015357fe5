"""Schedules and ticks in SQL. There is no leader: a tick is a row that can be written once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.domain import Work, WorkKind
from jobs.domain.access import ProjectName
from jobs.domain.schedules import Misfire, NewSchedule, Overlap, Schedule, ScheduleKind, Tick, TickState
from jobs.leased_work.enqueueing import enqueue_new
from jobs.leased_work.leases import WorkLeases
from jobs.lifecycle.submissions import new_job_id
from jobs.schedules.due import InvalidSchedule, check_cron, due_between
from jobs.schedules.errors import ScheduleNotFound
from jobs.sql.database import reading, writing
from jobs.sql.model_tables import schedules, ticks
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import reviews
from jobs.stored_text import storable

#: a tick that nobody saw for so long was missed
GRACE_S = 300.0


class ScheduleStore:
    """The schedules of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock
        self.work = WorkLeases(engine, clock)

    def add(self, new: NewSchedule) -> Schedule:
        """Due from now on. Raises InvalidSchedule, also for a name that is taken."""
        check_cron(new.cron, new.zone)
        schedule_id = new_job_id()
        row = {name: getattr(new, name) for name in ("name", "cron", "zone", "project", "after_reviews")}
        kinds = {name: getattr(new, name).value for name in ("kind", "overlap", "misfire")}
        try:
            with writing(self._engine) as connection:
                now = connection.execute(select(self._clock())).scalar_one()
                times = {"created_at": now, "considered_at": now, "reviews_seen": _reviews(connection)}
                connection.execute(
                    insert(schedules).values(id=schedule_id, request=dict(new.request), **row, **kinds, **times)
                )
        except IntegrityError:
            raise InvalidSchedule("name", f"there is a schedule {new.name!r} already") from None
        return self.get(schedule_id)

    def get(self, said: str) -> Schedule:
        """By id or name. Raises ScheduleNotFound."""
        for schedule in self.all():
            if said in (schedule.id, schedule.name):
                return schedule
        raise ScheduleNotFound(said)

    def all(self) -> list[Schedule]:
        """By name."""
        with reading(self._engine) as connection:
            return [_schedule(row) for row in connection.execute(select(schedules).order_by(schedules.c.name))]

    def pause(self, said: str, *, paused: bool = True) -> Schedule:
        """Let it be due no more, or again: what would have been due meanwhile is not made up for."""
        found = self.get(said)
        with writing(self._engine) as connection:
            changed: dict[str, Any] = {"paused": paused}
            if found.paused and not paused:
                changed["considered_at"] = self._clock()
            connection.execute(update(schedules).where(schedules.c.id == found.id).values(**changed))
        return self.get(found.id)

    def remove(self, said: str) -> Schedule:
        """Forget it; its ticks stay known. Raises ScheduleNotFound."""
        found = self.get(said)
        with writing(self._engine) as connection:
            connection.execute(delete(schedules).where(schedules.c.id == found.id))
        return found

    def run_now(self, said: str) -> Tick:
        """A tick of this moment, beside those that are due. Raises ScheduleNotFound."""
        found = self.get(said)
        with writing(self._engine) as connection:
            now = connection.execute(select(self._clock())).scalar_one()
            self._write(connection, found.id, now, TickState.WAITING, None)
        return self.tick(found.id, now)

    def ticks(self, schedule_id: str, limit: int = 20) -> list[Tick]:
        """The latest first."""
        wanted = select(ticks).where(ticks.c.schedule_id == schedule_id).order_by(ticks.c.due_at.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_tick(row) for row in connection.execute(wanted)]

    def tick(self, schedule_id: str, due_at: float) -> Tick:
        """Raises ScheduleNotFound where there is none."""
        wanted = select(ticks).where(ticks.c.schedule_id == schedule_id, ticks.c.due_at == due_at)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            raise ScheduleNotFound(schedule_id)
        return _tick(row)

    def before(self, tick: Tick) -> Tick | None:
        """The last tick before this one that began something, or is to."""
        wanted = select(ticks).where(
            ticks.c.schedule_id == tick.schedule_id,
            ticks.c.due_at < tick.due_at,
            ticks.c.state.in_([TickState.WAITING.value, TickState.STARTED.value]),
        )
        with reading(self._engine) as connection:
            row = connection.execute(wanted.order_by(ticks.c.due_at.desc()).limit(1)).one_or_none()
        return None if row is None else _tick(row)

    def make_ticks(self) -> int:
        """Write down what is due, each once whoever else does the same now; gives how many of them are to be begun."""
        return sum(self._make(schedule) for schedule in self.all() if not schedule.paused)

    def settle(
        self, work: Work, tick: Tick, state: TickState, *, subject: str | None = None, note: str | None = None
    ) -> None:
        """How a tick ended, with its piece of work. Raises WorkLost."""
        with writing(self._engine) as connection:
            self.work.finish_in(connection, work)
            self.settle_in(connection, tick, state, subject=subject, note=note)

    def settle_in(
        self,
        connection: Connection,
        tick: Tick,
        state: TickState,
        *,
        subject: str | None = None,
        note: str | None = None,
    ) -> None:
        """The same in a transaction of the caller, without the work."""
        connection.execute(
            update(ticks)
            .where(ticks.c.schedule_id == tick.schedule_id, ticks.c.due_at == tick.due_at)
            .values(state=state.value, subject=subject, note=storable(note))
        )

    def _make(self, schedule: Schedule) -> int:
        with reading(self._engine) as connection:
            now = float(connection.execute(select(self._clock())).scalar_one())
            count = _reviews(connection) if schedule.after_reviews is not None else schedule.reviews_seen
        due = due_between(schedule.cron, schedule.zone, schedule.considered_at, now)
        begun, missed = _sorted_out(schedule.misfire, due, now)
        enough = schedule.after_reviews is not None and count - schedule.reviews_seen >= schedule.after_reviews
        if enough and not begun:
            begun = [now]
        if not due and not begun:
            return 0
        return len(begun) if self._take(schedule, begun, missed, due[-1] if due else None, count) else 0

    def _take(
        self, schedule: Schedule, begun: list[float], missed: list[float], considered: float | None, count: int
    ) -> bool:
        """Write the ticks, unless somebody else has looked at the schedule meanwhile."""
        seen = {"considered_at": schedule.considered_at if considered is None else considered}
        if begun:
            seen["reviews_seen"] = count
        as_it_was = (schedules.c.id == schedule.id, schedules.c.considered_at == schedule.considered_at)
        same_reviews = schedules.c.reviews_seen == schedule.reviews_seen
        try:
            with writing(self._engine) as connection:
                changed = update(schedules).where(*as_it_was, same_reviews, ~schedules.c.paused).values(**seen)
                if connection.execute(changed).rowcount != 1:
                    return False
                for due_at in missed:
                    self._write(connection, schedule.id, due_at, TickState.MISSED, "nobody was there in time")
                for due_at in begun:
                    self._write(connection, schedule.id, due_at, TickState.WAITING, None)
        except IntegrityError:
            return False  # a tick of that moment is there
        return True

    def _write(
        self, connection: Connection, schedule_id: str, due_at: float, state: TickState, note: str | None
    ) -> None:
        row = {"schedule_id": schedule_id, "due_at": due_at, "state": state.value, "note": note}
        connection.execute(insert(ticks).values(**row, made_at=self._clock()))
        if state is TickState.WAITING:
            enqueue_new(connection, WorkKind.TICK, f"{schedule_id}@{due_at!r}")


def _sorted_out(misfire: Misfire, due: list[float], now: float) -> tuple[list[float], list[float]]:
    """Due times that are to be begun, and those that were missed."""
    in_time = [moment for moment in due if moment >= now - GRACE_S]
    begun = in_time if misfire is Misfire.SKIP else due[-1:]
    return begun[-1:], [moment for moment in due if moment not in begun[-1:]]


def _reviews(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(reviews)).scalar_one())


def _schedule(row: Row[Any]) -> Schedule:
    names = ("id", "name", "cron", "zone", "request", "paused", "after_reviews", "reviews_seen", "created_at")
    return Schedule(
        **{name: getattr(row, name) for name in names},
        considered_at=row.considered_at,
        kind=ScheduleKind(row.kind),
        overlap=Overlap(row.overlap),
        misfire=Misfire(row.misfire),
        project=ProjectName(row.project),
    )


def _tick(row: Row[Any]) -> Tick:
    return Tick(
        schedule_id=row.schedule_id,
        due_at=row.due_at,
        state=TickState(row.state),
        subject=row.subject,
        note=row.note,
        made_at=row.made_at,
    )
