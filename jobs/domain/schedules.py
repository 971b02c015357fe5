"""What is due again and again: schedules, and their ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jobs.domain.access import DEFAULT_PROJECT, ProjectName


class ScheduleKind(StrEnum):
    """What a tick begins."""

    #: a screening job of what is new in a source since the last tick
    SCREEN = "screen"
    #: a run of retraining
    RETRAIN = "retrain"


class Overlap(StrEnum):
    """What becomes of a tick while what the one before began is still under way."""

    #: it is passed over
    SKIP = "skip"
    #: it waits
    QUEUE = "queue"


class Misfire(StrEnum):
    """What becomes of ticks that nobody saw in time."""

    #: the last of them is made up for
    ONCE = "once"
    #: they are passed over
    SKIP = "skip"


class TickState(StrEnum):
    """Where a tick is."""

    #: somebody is to begin it
    WAITING = "waiting"
    #: it began its job or run
    STARTED = "started"
    #: what the one before began was under way still
    SKIPPED = "skipped"
    #: nobody was there in time
    MISSED = "missed"
    #: it could not be begun
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSchedule:
    """A schedule to be made."""

    #: for people, unique
    name: str
    kind: ScheduleKind
    #: five fields, in the time of `zone`
    cron: str
    #: of the IANA database, such as Europe/Berlin
    zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    misfire: Misfire = Misfire.ONCE
    #: what a tick asks for: fields of the use case's own request, plain JSON types
    request: Mapping[str, Any]
    project: ProjectName = DEFAULT_PROJECT
    #: also due as soon as so many reviews are new
    after_reviews: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(NewSchedule):
    """A schedule as it stands. Times are seconds since the epoch."""

    id: str
    paused: bool
    #: how many reviews there were when it was due last
    reviews_seen: int
    created_at: float
    #: due times up to here have their ticks
    considered_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """One due time of one schedule: there is never a second one."""

    schedule_id: str
    #: seconds since the epoch
    due_at: float
    state: TickState
    #: what it began: the id of a job or of a run
    subject: str | None = None
    #: why it was not begun
    note: str | None = None
    made_at: float

    @property
    def work(self) -> str:
        """The subject of its piece of work."""
        return f"{self.schedule_id}@{self.due_at!r}"
