"""Work that is slow and no shard: what kinds there are, and a piece of it in somebody's hands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from jobs.domain.ids import JobId

WorkId = NewType("WorkId", int)


class WorkKind(StrEnum):
    """What is to be done; `subject` names the thing it is done to."""

    #: freeze the corpus of a job; subject: the job's id
    PREPARATION = "preparation"
    #: write a job's completion report; subject: the job's id
    COMPLETION_REPORT = "completion_report"
    #: send one message; subject: the id of the delivery
    WEBHOOK = "webhook"
    #: remove a job that is over, with its verdicts; subject: the job's id
    DELETION = "deletion"
    #: rewrite the verdicts that cross another threshold; subject: the job's id
    REFLAGGING = "reflagging"
    #: begin what is due; subject: schedule and due time
    TICK = "tick"
    #: retrain a model, step by step; subject: the run's id
    RETRAINING = "retraining"
    #: copy what came of retraining to MLflow; subject: a run, a version or an alias move, and where to
    MIRRORING = "mirroring"


class WorkState(StrEnum):
    """Where a piece of work is: `failed` will not be tried again, `cancelled` is not wanted any more."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A piece of work in somebody's hands."""

    id: WorkId
    kind: WorkKind
    subject: str
    #: the job it belongs to, if to one
    job_id: JobId | None
    #: from 1; only attempts that were started and failed on their own account raise it
    attempt: int
    #: how often its holder was never heard of again
    vanished: int
    #: rises at every claim; whatever comes with an older one is refused
    fence: int
    #: of the trace that it belongs to, if to one
    traceparent: str | None = None
