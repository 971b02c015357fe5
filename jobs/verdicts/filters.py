"""Which verdicts are asked for, and in which order they come. Free of SQL."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from jobs.domain import JobId, ReviewState
from jobs.domain.access import ProjectName
from jobs.domain.pages import filter_digest
from jobs.domain.reviews import SecondLook
from jobs.domain.signals import SignalKind
from jobs.errors import ErrorCode, InvalidFilter


class Change(StrEnum):
    """How a verdict differs from that of another job on the same image; both have a score."""

    #: flagged, and not in the other job
    FLAGGED = "flagged"
    #: not flagged, and flagged in the other job
    CLEARED = "cleared"
    #: changed or not
    ANY = "any"


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictFilter:
    """Verdicts that pass every part that is set.

    Flagged ones come ranked, highest score first, of one job or of all; any others are of one job and come in the order
    of its manifest. Those of an audit come in the random order in which they were drawn.
    Raises InvalidFilter for parts that no order serves.
    """

    job_id: JobId | None = None
    flagged: bool | None = None
    #: in [0, 1], inclusive; an image without a score passes neither bound
    min_score: float | None = None
    max_score: float | None = None
    #: share of the image with probability at least 0.5, in [0, 1], inclusive; likewise
    min_area: float | None = None
    max_area: float | None = None
    #: the key begins with this
    prefix: str | None = None
    #: "s3://bucket" or "file:///absolute/folder"
    container: str | None = None
    #: the model's name, or the beginning of its fingerprint
    model: str | None = None
    #: whether there is an error code instead of a score
    failed: bool | None = None
    error_code: ErrorCode | None = None
    #: the decision that holds for the image, or that there is none
    review: ReviewState | None = None
    #: of this claim, paper or listing
    case: str | None = None
    #: whose file says this of itself
    signal: SignalKind | None = None
    #: drawn for this audit of the job, by its number
    audit: int | None = None
    #: where the image stands between two people who decide on it
    second_look: SecondLook | None = None
    #: nobody of this name has said anything of it
    not_by: str | None = None
    #: how the verdict differs from that of another job on the image at the same place
    against: JobId | None = None
    change: Change | None = None
    #: of jobs of this project
    project: ProjectName | None = None

    def __post_init__(self) -> None:
        if self.audit is not None and self.job_id is None:
            raise InvalidFilter("an audit is of one job: say of which")
        if (self.against is None) != (self.change is None):
            raise InvalidFilter("a change is against another job: give both, against and change")
        if not self.ranked and self.job_id is None:
            raise InvalidFilter("verdicts of all jobs are listed by score, and only the flagged ones")

    @property
    def ranked(self) -> bool:
        """Whether they come by score, and not in the order of a manifest."""
        return self.flagged is True and self.audit is None

    @property
    def digest(self) -> str:
        """The same for equal filters, another one for others."""
        return filter_digest({name: value for name, value in asdict(self).items() if value is not None})
