"""What a person says of one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jobs.domain.drawings import Drawing, DrawingName
from jobs.domain.ids import Container, Fingerprint, ImageKey
from jobs.domain.verdicts import VerdictRef

#: from "hardly matters" to "as bad as can be"
SEVERITIES = range(1, 6)


class Decision(StrEnum):
    """What the image is, in the eyes of whoever looked."""

    #: it was tampered with
    CONFIRMED = "confirmed"
    #: it was not
    REJECTED = "rejected"
    #: it cannot be said
    UNSURE = "unsure"


class ReviewState(StrEnum):
    """Where an image stands: the decision that holds, or none."""

    UNREVIEWED = "unreviewed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReview:
    """A review to be written."""

    decision: Decision
    #: who says so
    reviewer: str
    note: str | None = None
    #: one of `SEVERITIES`
    severity: int | None = None
    #: a second look, by somebody who has not seen what was said before
    blind: bool = False
    #: where it was tampered with; with `confirmed` alone
    drawing: Drawing | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """A review as it was written: never changed, never deleted. The last one of a verdict holds.

    It says itself what was looked at, so that it means something when the verdict is long gone.
    """

    ref: VerdictRef
    #: counts the reviews of this verdict, from 1
    number: int
    #: None: the first word was taken back, and the image is unreviewed
    decision: Decision | None
    reviewer: str
    note: str | None
    severity: int | None
    #: the review that this one took back, by its number
    undoes: int | None
    #: seconds since the epoch
    created_at: float
    container: Container
    key: ImageKey
    version_id: str | None
    #: of the bytes that were scored; None where there is no score
    sha256: str | None
    score: float | None
    flagged: bool
    #: of the model
    fingerprint: Fingerprint
    #: reviews that were given together have one; None: given alone, or taken back
    bulk: str | None = None
    #: by somebody who had not seen what was said before
    blind: bool = False
    #: where it was tampered with, if that was drawn
    drawing: DrawingName | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewLease:
    """An image that somebody looks at: queues of others pass over it until the lease runs out."""

    ref: VerdictRef
    #: one person at one desk: a browser, or a program by its key
    holder: str
    #: as others see him
    name: str
    #: seconds since the epoch
    expires_at: float


class SecondLook(StrEnum):
    """Where an image stands between two people who decide without knowing of each other."""

    #: one has decided, another is to do so
    WANTED = "wanted"
    #: both say the same
    AGREED = "agreed"
    #: they do not, and nobody has settled it
    CONFLICT = "conflict"
    #: they did not, and a third decision holds
    SETTLED = "settled"
