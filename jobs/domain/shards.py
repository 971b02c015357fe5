"""A shard in somebody's hands."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.domain.access import DEFAULT_PROJECT, ProjectName
from jobs.domain.corpus import ImageRef
from jobs.domain.ids import JobId, ShardId
from jobs.domain.models import ModelRef
from jobs.domain.verdicts import Verdict

#: a shard is tried so often before it is divided, or set aside when it has one image
MAX_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A shard in somebody's hands: until when the database's clock says so, and with which fence."""

    shard_id: ShardId
    job_id: JobId
    #: position of the shard's first image in the frozen manifest
    first_ordinal: int
    #: from 1; only attempts that were started and failed on their own account raise it
    attempt: int
    #: how often its worker was never heard of again
    vanished: int = 0
    #: rises at every claim; a finish with an older one is refused
    fence: int
    expires_at: float
    model: ModelRef
    threshold: float
    #: heatmaps are kept from this score on; None: from the threshold
    heatmaps_from: float | None = None
    #: what others have screened is not known to it
    project: ProjectName = DEFAULT_PROJECT
    #: score all images anew, whatever is known of them
    rescore: bool = False
    #: take the verdict of an object with the same ETag and size over without reading it
    trust_etags: bool = False
    #: of the trace that its job belongs to, if to one
    traceparent: str | None = None
    entries: tuple[ImageRef, ...]
    #: verdicts of earlier jobs by the same model that may be taken over; see `reuse`
    known: tuple[Verdict, ...] = field(default=(), compare=False, repr=False)

    @property
    def suspect(self) -> bool:
        """Whether it may be what ends its workers: it was tried before."""
        return self.attempt > 1 or self.vanished > 0
