"""The outcome for one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.domain.corpus import ImageRef, address
from jobs.domain.ids import Container, Fingerprint, ImageKey, JobId
from jobs.errors import ErrorCode


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRef:
    """What names one verdict for ever: a link, a review or a person points to it. A key may lie in two buckets."""

    job_id: JobId
    #: position in the frozen manifest of the job
    ordinal: int

    def __str__(self) -> str:
        """ "JOB/17": as people write it."""
        return f"{self.job_id}/{self.ordinal}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The outcome for one image in one job: a score and what belongs to it, or an error code."""

    #: position in the frozen manifest, unique inside the job
    ordinal: int
    container: Container
    key: ImageKey
    #: in [0, 1]
    score: float | None = None
    flagged: bool = False
    #: share of pixels with probability at or above each of `ncl_model.inference.scoring.AREA_CUTOFFS`
    tampered_areas: tuple[float, ...] = ()
    #: which kinds of evidence speak how loudly: a document of `ncl_model.inference.evidence.Evidence`
    evidence: Mapping[str, Any] | None = None
    #: what the file says of itself, by `jobs.domain.signals.SignalKind`; never part of the score
    signals: Mapping[str, Any] | None = None
    map_uri: str | None = None
    #: pixels, upright
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    etag: str | None = None
    version_id: str | None = None
    size: int | None = None
    fingerprint: Fingerprint
    error_code: ErrorCode | None = None
    error_message: str | None = None
    #: taken over from an earlier job, not scored
    reused: bool = False
    #: the claim, paper or listing it belongs to: as its job has it, whoever scored it
    case: str | None = None

    def __post_init__(self) -> None:
        if (self.score is None) == (self.error_code is None):
            raise ValueError("a verdict has either a score or an error code")

    @property
    def uri(self) -> str:
        """Container and key in one, for people."""
        return address(self.container, self.key)


def failed_verdict(entry: ImageRef, ordinal: int, fingerprint: Fingerprint, code: ErrorCode, message: str) -> Verdict:
    """The verdict of an image that could not be scored."""
    return Verdict(
        ordinal=ordinal,
        container=entry.container,
        key=entry.key,
        etag=entry.etag,
        version_id=entry.version_id,
        size=entry.size,
        fingerprint=fingerprint,
        error_code=code,
        error_message=message,
        case=entry.case,
    )
