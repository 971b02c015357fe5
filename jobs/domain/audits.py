"""An audit of a job: some of its images, drawn at random by score, for people to say how right the job was."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.domain.ids import JobId


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditStratum:
    """A part of a job's images, by score."""

    #: "flagged high", "flagged low", "near misses" or "far below"
    name: str
    #: whether its images are flagged
    flagged: bool
    #: images of the job that are in it
    images: int
    #: of which so many were drawn
    drawn: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """A sample as it was drawn: never changed."""

    job_id: JobId
    #: counts the audits of the job, from 1
    number: int
    #: images that were asked for
    size: int
    #: the same job, size and seed give the same sample
    seed: int
    #: of the job, when it was drawn
    threshold: float
    #: highest scores first; those without images are left out
    strata: tuple[AuditStratum, ...]
    #: images of the job that have no score: nothing is said of them
    unscored: int
    drawn_by: str
    #: seconds since the epoch
    created_at: float

    @property
    def drawn(self) -> int:
        """Images in the sample."""
        return sum(stratum.drawn for stratum in self.strata)
