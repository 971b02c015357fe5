"""Another threshold for a job that is over: counted before, done by a dispatcher or here, nothing is scored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.background import in_background
from jobs.domain import Job
from jobs.errors import JobsError
from jobs.leased_work.keeper import keeping
from nclscreen.interrupts import heed_termination
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.policies import flag_rule
from nclscreen.services.replaying import ReplayRequest, ReplayView, replay
from nclscreen.wiring import Wiring

#: between two looks at how far it is
_LOOK_S = 0.1


class ReflaggingFailed(JobsError):
    """Moving the job went wrong several times; it keeps its threshold, and part of its rows may have crossed."""

    def __init__(self, job_id: str, why: str) -> None:
        self.job_id = job_id
        self.why = why
        super().__init__(f"job {job_id} could not be flagged anew, ask again: {why}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReflagRequest:
    """From when on a job that is over is to flag: one of both."""

    job_id: str
    #: score, in [0, 1]
    threshold: float | None = None
    #: the largest share of false alarms, by the job's own model
    max_fpr: float | None = None


def begin_reflagging(wiring: Wiring, request: ReflagRequest) -> Job:
    """Have a dispatcher move the job. Raises JobNotFound, RequestRefused, InvalidRequest, errors of calibration."""
    job, threshold, policy = _rule(wiring, request)
    return wiring.jobs.begin_reflagging(job.id, threshold, policy)


def what_would_change(wiring: Wiring, request: ReflagRequest) -> ReplayView:
    """The same, counted alone."""
    job, threshold, _ = _rule(wiring, request)
    return replay(wiring, ReplayRequest(job_id=job.id, threshold=threshold))


def reflag_job(wiring: Wiring, request: ReflagRequest, progress: Callable[[int], None] = lambda rows: None) -> Job:
    """Move the job, and see to it that somebody does so: a dispatcher, or this process.

    `progress` hears how many rows this process rewrote. Whatever ends this half-way, a dispatcher goes on, or asking
    again. Raises what `begin_reflagging` does, and ReflaggingFailed.
    """
    job, rewritten, stop = begin_reflagging(wiring, request), 0, threading.Event()

    def told(rows: int) -> None:
        nonlocal rewritten
        rewritten += rows

    with (
        keeping([wiring.held_work], lease_s=wiring.settings.lease_s),
        in_background([wiring.reflagging(job.id, told)], stop),
    ):
        while (job := wiring.jobs.get(job.id)).reflag_to is not None:
            if (why := wiring.jobs.reflagging_failed(job.id)) is not None:
                raise ReflaggingFailed(job.id, why)
            progress(rewritten)
            stop.wait(_LOOK_S)
            heed_termination()
    return job


def _rule(wiring: Wiring, request: ReflagRequest) -> tuple[Job, float, dict[str, Any] | None]:
    """Raises InvalidRequest, JobNotFound, WeightsNotFound, errors of calibration."""
    job = wiring.jobs.get(request.job_id)
    if (request.threshold is None) == (request.max_fpr is None):
        either = "say a score from which on it is to flag, or the largest share of false alarms, and not both"
        raise InvalidRequest("threshold", either)
    # a rate belongs to the model whose scores they are
    model = wiring.model if request.max_fpr is None else wiring.model_of(job.model.fingerprint)
    rule = flag_rule(model, request.threshold, request.max_fpr)
    return job, rule.threshold, rule.policy_document
