"""What another rule would flag in a job that was screened, or that runs: no scoring."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from jobs.domain import Job
from jobs.domain.states import JobState
from jobs.errors import VerdictsRemoved
from jobs.verdicts import Replay, Replayed
from jobs.verdicts.replay_tables import ScreenedImages
from nclscreen.services import checks
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayRequest:
    """Another rule for a job."""

    job_id: str
    #: score from which an image is flagged, in [0, 1]; None: the job's
    threshold: float | None = None
    #: and of which this share or more looks tampered, in [0, 1]
    min_area: float = 0.0
    #: probability from which a pixel looks tampered: 0.2, 0.25, ... 0.95
    cutoff: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayView:
    """What it would flag."""

    job: Job
    rule: Replay
    counts: Replayed

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        rule = {"threshold": self.rule.score, "min_area": self.rule.area, "cutoff": self.rule.cutoff}
        return {"job": self.job.id, "state": self.job.state.value, **rule, **dataclasses.asdict(self.counts)}


def replay(wiring: Wiring, request: ReplayRequest) -> ReplayView:
    """Count the job's images under the rule. Raises JobNotFound, VerdictsRemoved, InvalidRequest."""
    checks.within("threshold", request.threshold, 0, 1)
    checks.within("min_area", request.min_area, 0, 1)
    job = wiring.jobs.get(request.job_id)
    if job.verdicts_removed_at is not None:
        raise VerdictsRemoved(job.id, "replay", job.state)
    threshold = job.threshold if request.threshold is None else request.threshold
    rule = checks.parsed("cutoff", lambda: Replay(score=threshold, area=request.min_area, cutoff=request.cutoff))
    return ReplayView(job=job, rule=rule, counts=_counted(wiring, job, rule))


def score_bins(wiring: Wiring, job: Job) -> list[int]:
    """Its images per score bin: `jobs.verdicts.HISTOGRAM_BINS` bins over [0, 1], the last one closed."""
    screened = _in_memory(wiring, job)
    return wiring.verdicts.score_histogram(job.id) if screened is None else screened.histogram()


def _counted(wiring: Wiring, job: Job, rule: Replay) -> Replayed:
    screened = _in_memory(wiring, job)
    return wiring.verdicts.replay(job.id, rule) if screened is None else screened.counts(rule)


def _in_memory(wiring: Wiring, job: Job) -> ScreenedImages | None:
    """Its images in memory, where they are; SQL counts the same."""
    # rows that go, and flags that are being rewritten, are not kept up with
    changing = job.state is JobState.DELETING or job.reflag_to is not None or job.verdicts_removed_at is not None
    return None if changing else wiring.replay_tables.find(job.id, job.threshold, job.counts.done)
