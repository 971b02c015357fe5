"""The records of the job layer: frozen, keyword-only, free of SQL, storage and Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NewType

from jobs.errors import ErrorCode
from jobs.states import JobState

JobId = NewType("JobId", str)
ShardId = NewType("ShardId", int)
#: where an image is inside its container: an S3 key, or a path relative to the corpus folder with "/" between parts
ImageKey = NewType("ImageKey", str)

#: a place in a source, in JSON types; what it means is known to `jobs.preparation.corpus`
Cursor = dict[str, Any]

#: file name endings that count as photographs unless the filters say otherwise (compared without case)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """One object as a listing shows it."""

    key: ImageKey
    #: bytes; None where the listing does not say
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    #: seconds since the epoch, UTC
    modified_at: float | None = None
    #: a folder that could not be listed: whatever is in it is accounted for by this one entry, its key with "/" behind
    closed_folder: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRef:
    """One entry of a frozen corpus: which bytes are meant."""

    #: "s3://bucket" or "file:///absolute/folder"
    container: str
    key: ImageKey
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None

    @property
    def uri(self) -> str:
        return f"{self.container.rstrip('/')}/{self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which objects of a source belong to the corpus."""

    #: endings compared without case; empty = every object
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES
    #: the key contains this text
    contains: str | None = None
    #: the key, without its bucket, begins with this text
    prefix: str | None = None
    #: seconds since the epoch, both inclusive
    modified_after: float | None = None
    modified_before: float | None = None
    #: bytes, both inclusive
    min_bytes: int | None = None
    max_bytes: int | None = None
    #: of what passes, so many: those with the smallest hashes of seed and name, whatever their order
    sample: int | None = None
    sample_seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "suffixes", tuple(suffix.lower() for suffix in self.suffixes))

    def accept(self, item: ObjectInfo) -> bool:
        """Whether the object belongs to the corpus; a bound on something the listing does not say is not applied."""
        if item.closed_folder:
            return True  # nobody knows what the filters would say to what is in it
        if self.suffixes and not item.key.lower().endswith(self.suffixes):
            return False
        if self.prefix is not None and not item.key.startswith(self.prefix):
            return False
        if self.contains is not None and self.contains not in item.key:
            return False
        return _within(item.modified_at, self.modified_after, self.modified_before) and _within(
            item.size, self.min_bytes, self.max_bytes
        )

    def in_words(self) -> str:
        """What is looked for, for people: "names ending with .jpg; of at least 10 bytes"."""
        bounds = [
            ("names ending with ", ", ".join(self.suffixes) or None),
            ("beginning with ", self.prefix and repr(self.prefix)),
            ("containing ", self.contains and repr(self.contains)),
            ("modified at or after ", _instant(self.modified_after)),
            ("modified at or before ", _instant(self.modified_before)),
            ("of at least ", self.min_bytes is not None and f"{self.min_bytes} bytes"),
            ("of at most ", self.max_bytes is not None and f"{self.max_bytes} bytes"),
            ("a sample of ", self.sample),
        ]
        return "; ".join(f"{words}{value}" for words, value in bounds if value) or "any name"


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None:
        return True
    return (low is None or value >= low) and (high is None or value <= high)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRef:
    """The model version a job is pinned to."""

    name: str
    #: sha256 over weights, preprocessing and numeric precision, in hex
    fingerprint: str


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
    failure_threshold: FailureThreshold = FailureThreshold()
    #: http(s) address that hears of changes of state
    webhook: str | None = None
    #: s3://bucket/prefix or file:///folder for the completion report
    report: str | None = None
    #: the job whose failed images this one tries again
    retry_of: JobId | None = None
    #: error codes of those images; empty = all
    retry_codes: tuple[ErrorCode, ...] = ()
    #: go on without the lines of a manifest that name no image, instead of failing
    skip_bad_lines: bool = False


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
class ManifestProblem:
    """A line of a manifest that names no image."""

    #: from 1; in an inventory of several files, counted through all of them
    line: int
    reason: str


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
    #: how the threshold was asked for, when it was by a false-positive rate: plain JSON types
    policy: dict[str, Any] | None = None
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
    options: JobOptions = JobOptions()
    #: the submitter's own word for this request: the same again makes no second job
    token: str | None = None
    #: fields of the filters that were given as a duration ("7d"): the same words are the same request later, too
    relative: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A shard in somebody's hands: until when the database's clock says so, and with which fence."""

    shard_id: ShardId
    job_id: JobId
    #: position of the shard's first image in the frozen manifest
    first_ordinal: int
    attempt: int
    #: rises at every claim; a finish with an older one is refused
    fence: int
    expires_at: float
    model: ModelRef
    threshold: float
    #: score all images anew, whatever is known of them
    rescore: bool = False
    entries: tuple[ImageRef, ...]
    #: verdicts of earlier jobs by the same model that may be taken over; see `reuse`
    known: tuple[Verdict, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The outcome for one image in one job: a score and what belongs to it, or an error code."""

    #: position in the frozen manifest, unique inside the job
    ordinal: int
    container: str
    key: ImageKey
    #: in [0, 1]
    score: float | None = None
    flagged: bool = False
    #: share of pixels with probability at or above each of `ncl_model.inference.scoring.AREA_CUTOFFS`
    tampered_areas: tuple[float, ...] = ()
    map_uri: str | None = None
    #: pixels, upright
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    etag: str | None = None
    version_id: str | None = None
    size: int | None = None
    fingerprint: str
    error_code: ErrorCode | None = None
    error_message: str | None = None
    #: taken over from an earlier job, not scored
    reused: bool = False

    def __post_init__(self) -> None:
        if (self.score is None) == (self.error_code is None):
            raise ValueError("a verdict has either a score or an error code")
