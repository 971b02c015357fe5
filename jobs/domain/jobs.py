"""A job: what was asked for, what preparing found, where it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobs.domain.access import DEFAULT_PROJECT, ProjectName
from jobs.domain.corpus import Filters
from jobs.domain.ids import JobId
from jobs.domain.models import ModelRef
from jobs.domain.places import Places
from jobs.domain.states import JobState
from jobs.errors import ErrorCode


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How many images of a job are where. `flagged` is part of `scored` and `reused`."""

    total: int = 0
    scored: int = 0
    flagged: int = 0
    reused: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Images that have their verdict."""
        return self.scored + self.reused + self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureThreshold:
    """When a job gives up: more than this share of the images failed, once enough of them have their verdict."""

    #: in [0, 1]; 1 never gives up
    ratio: float = 0.5
    #: images with a verdict before the share means anything
    sample: int = 1000


class RetryImages(StrEnum):
    """Which images of an earlier job a new one takes."""

    FAILED = "failed"
    ALL = "all"
    FLAGGED = "flagged"
    #: those of which a decision holds
    REVIEWED = "reviewed"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOptions:
    """What a submitter may ask for beside corpus, model and threshold."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    #: jobs with a higher one go first; may change while the job runs
    priority: int = 0
    #: wait for a person's yes once the corpus is frozen
    confirm: bool = False
    #: score images anew whose verdict is known
    rescore: bool = False
    #: take the verdict of an object with the same ETag and size over without reading it
    trust_etags: bool = False
    #: a list of local files may name files outside its own folder
    allow_outside: bool = False
    failure_threshold: FailureThreshold = FailureThreshold()
    #: http(s) address that hears of changes of state
    webhook: str | None = None
    #: s3://bucket/prefix or file:///folder for the completion report
    report: str | None = None
    #: the job whose images this one takes again
    retry_of: JobId | None = None
    #: which of them
    retry_images: RetryImages = RetryImages.FAILED
    #: error codes of failed ones; empty = all
    retry_codes: tuple[ErrorCode, ...] = ()
    #: go on without the lines of a manifest that name no image, instead of failing
    skip_bad_lines: bool = False
    #: RE2 pattern whose group `case` is the case of an image, found in its key
    case_from: str | None = None
    #: where its images and its report may be; None: anywhere
    places: Places | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparing:
    """What preparing a job has found so far."""

    #: objects or lines looked at
    seen: int = 0
    #: bytes of the images whose size is known, and the number of those without one
    bytes: int = 0
    unsized: int = 0
    #: lines of the manifest that name no image
    bad_lines: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One request to screen a corpus with one pinned model version and threshold.

    Times are seconds since the epoch, UTC.
    """

    id: JobId
    state: JobState
    source: str
    filters: Filters
    model: ModelRef
    #: an image is flagged when its score reaches this, in [0, 1]
    threshold: float
    #: who may see it
    project: ProjectName = DEFAULT_PROJECT
    #: how the threshold was asked for, when it was by a false-positive rate: plain JSON types
    policy: dict[str, Any] | None = None
    #: heatmaps are kept from this score on; None: from the threshold
    heatmaps_from: float | None = None
    #: the threshold to which it is being moved
    reflag_to: float | None = None
    #: since when it is cleared out: verdicts that nobody looked at are gone, the counts stay
    verdicts_removed_at: float | None = None
    options: JobOptions = JobOptions()
    counts: Counts = field(default_factory=Counts)
    found: Preparing = Preparing()
    #: why preparing it waits, while it does
    preparation_error: str | None = None
    #: where the completion report was written
    report_uri: str | None = None
    #: whether it is still to be written
    report_due: bool = False
    #: what went wrong at the last attempt to write it
    report_error: str | None = None
    #: objects the filters left out
    ignored: int = 0
    #: why the job failed
    error: str | None = None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """What a person submits."""

    source: str
    filters: Filters = field(default_factory=Filters)
    model: ModelRef
    threshold: float
    policy: dict[str, Any] | None = None
    #: keep heatmaps from this score on, below the threshold; None: from the threshold
    heatmaps_from: float | None = None
    options: JobOptions = JobOptions()
    #: who may see it; a store of one project takes its own
    project: ProjectName = DEFAULT_PROJECT
    #: the submitter's own word for this request: the same again makes no second job
    token: str | None = None
    #: fields of the filters that were given as a duration ("7d"): the same words are the same request later, too
    relative: dict[str, str] = field(default_factory=dict)
