"""What a second opinion changed: the verdicts of one job against those of another on the same images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.domain import Job
from jobs.verdicts import Change, FoundVerdict, VerdictFilter
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Images of `job` that `against` has too, by place; counted, in both directions."""

    job: Job
    against: Job
    #: images with a score in both
    compared: int
    #: flagged here, and not there
    flagged: int
    #: flagged there, and not here
    cleared: int

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "job": self.job.id,
            "against": self.against.id,
            "models": {"job": self.job.model.fingerprint, "against": self.against.model.fingerprint},
            "thresholds": {"job": self.job.threshold, "against": self.against.threshold},
            "compared": self.compared,
            "flagged": self.flagged,
            "cleared": self.cleared,
        }

    def filter(self, change: Change) -> VerdictFilter:
        """The images that changed so."""
        return VerdictFilter(
            job_id=self.job.id,
            against=self.against.id,
            change=change,
            flagged=True if change is Change.FLAGGED else None,
        )


def changes(wiring: Wiring, job_id: str, against: str | None = None) -> Changes:
    """`against`: None: the job whose images `job_id` took again. Raises JobNotFound, InvalidRequest."""
    job = wiring.jobs.get(job_id)
    earlier = against or job.options.retry_of
    if earlier is None:
        raise InvalidRequest("against", "say against which job; this one took no other's images again")
    other = wiring.jobs.get(earlier)
    if other.id == job.id:
        raise InvalidRequest("against", "it is the same job")

    def count(change: Change) -> int:
        return wiring.verdicts.count(VerdictFilter(job_id=job.id, against=other.id, change=change))

    return Changes(
        job=job,
        against=other,
        compared=count(Change.ANY),
        flagged=count(Change.FLAGGED),
        cleared=count(Change.CLEARED),
    )


def changed(wiring: Wiring, found: Changes, change: Change, limit: int) -> Iterator[FoundVerdict]:
    """Up to `limit` of them: those flagged now with the highest score first, others in the manifest's order."""
    return wiring.verdicts.stream(found.filter(change), limit)
