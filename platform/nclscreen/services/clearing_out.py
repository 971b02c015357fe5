"""Clearing out old jobs, and giving back the room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.domain import JobId
from jobs.errors import JobNotFound, RequestRefused
from jobs.lifecycle.retention import Retention
from jobs.sql.vacuuming import vacuum
from nclscreen.interrupts import heed_termination
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class ClearedOut:
    """What went, or would go."""

    #: the oldest first
    jobs: tuple[JobId, ...]
    verdicts: int
    shards: int
    #: jobs that are old and stay as they are, with the reason
    kept: dict[JobId, str]


def clear_out(
    wiring: Wiring, keep_days: float, *, dry_run: bool = False, told: Callable[[JobId, int], None] = lambda *said: None
) -> ClearedOut:
    """Remove verdicts and manifests of jobs that ended more than so many days ago; `told` hears job and verdicts.

    What people looked at stays, and so do the jobs. Killed, the next call goes on. Raises InvalidRequest.
    """
    if keep_days < 0:
        raise InvalidRequest("keep_days", "a number of days, 0 or more, is wanted")
    retention, kept, gone = Retention(wiring.engine), {}, []
    verdicts = shards = 0
    for job_id in retention.old(keep_days):
        try:
            for some in [retention.removable(job_id)] if dry_run else retention.clear_out(job_id):
                verdicts, shards = verdicts + some.verdicts, shards + some.shards
                told(job_id, verdicts)
                heed_termination()
        except RequestRefused as error:
            kept[job_id] = str(error)
        except JobNotFound:
            continue  # deleted meanwhile
        else:
            gone.append(job_id)
    return ClearedOut(jobs=tuple(gone), verdicts=verdicts, shards=shards, kept=kept)


def give_back_room(wiring: Wiring) -> None:
    """Have the database reuse, or give back, the room of what is gone. Raises DatabaseUnusable."""
    with wiring.telling_of_the_database():
        vacuum(wiring.engine)
