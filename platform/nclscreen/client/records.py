"""What the API answers, as records. Each keeps the whole document, for what this version does not know yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: a job in one of these states goes on no more
OVER = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A screening job as it stood when it was asked for."""

    id: str
    state: str
    name: str | None
    source: str
    #: images: total, scored, flagged, reused, failed
    counts: dict[str, int]
    threshold: float
    error: str | None
    document: dict[str, Any] = field(repr=False, compare=False)

    @property
    def is_over(self) -> bool:
        """Whether it goes on no more."""
        return self.state in OVER


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The outcome for one image: a score, or an error code."""

    #: "JOB/17"
    ref: str
    container: str
    key: str
    #: in [0, 1]; None where there is an error code
    score: float | None
    flagged: bool
    #: share of the image with probability 0.5 or more, in [0, 1]
    tampered_area: float | None
    #: the claim, paper or listing it belongs to
    case: str | None
    #: the decision that holds: confirmed, rejected, unsure
    review: str | None
    error_code: str | None
    document: dict[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What somebody said of an image."""

    ref: str
    #: counts the reviews of the image, from 1
    number: int
    #: None: the image is unreviewed again
    decision: str | None
    reviewer: str
    note: str | None
    #: where the image was tampered with: `kind` ("mask", "scribbles") and `sha256` of the PNG
    drawing: dict[str, str] | None
    document: dict[str, Any] = field(repr=False, compare=False)


def job_of(document: dict[str, Any]) -> Job:
    return Job(**{name: document[name] for name in _JOB}, document=document)


def verdict_of(document: dict[str, Any]) -> Verdict:
    return Verdict(**{name: document[name] for name in _VERDICT}, document=document)


def review_of(document: dict[str, Any]) -> Review:
    return Review(**{name: document[name] for name in _REVIEW}, document=document)


_JOB = ("id", "state", "name", "source", "counts", "threshold", "error")
_VERDICT = ("ref", "container", "key", "score", "flagged", "tampered_area", "case", "review", "error_code")
_REVIEW = ("ref", "number", "decision", "reviewer", "note", "drawing")
