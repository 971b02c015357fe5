"""What is asked for when a job is submitted: the same fields for every face."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_PRIORITY = 1_000_000
LARGEST_SAMPLE = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmissionRequest:
    """A job as somebody asks for it. None, or nothing, is always "as usual"."""

    #: a folder, an image, s3://bucket/prefix, a list of images, or an S3 Inventory's manifest.json
    source: str
    #: score from which an image is flagged, in [0, 1]
    threshold: float | None = None
    #: instead of a threshold: the largest share of false alarms on authentic photographs, in [0, 1]
    max_fpr: float | None = None
    #: endings of file names, any case; `*` is every name
    suffixes: tuple[str, ...] = ()
    #: of keys
    prefix: str | None = None
    #: a part of keys
    contains: str | None = None
    #: a moment: a date, an ISO 8601 time, or how long ago (7d, 12h, 30m)
    modified_after: str | None = None
    modified_before: str | None = None
    #: a size: 500, 10KB, 1.5GiB
    min_size: str | None = None
    max_size: str | None = None
    #: storage classes of S3: STANDARD, GLACIER, ...
    storage_classes: tuple[str, ...] = ()
    #: also objects that must be restored from an archive first
    include_archived: bool = False
    #: so many images of all that pass, chosen by hashes
    sample: int | None = None
    sample_seed: int = 0
    #: for people
    name: str | None = None
    tags: tuple[str, ...] = ()
    #: higher goes first
    priority: int = 0
    #: the submitter's own word for this request: asked for again with it, no second job is made
    token: str | None = None
    #: wait for a person once the corpus is frozen
    confirm: bool = False
    #: score also images whose verdict by this model is known
    rescore: bool = False
    #: take verdicts of objects with the same ETag and size over without reading them
    trust_etags: bool = False
    #: a list of local files may name files outside its own folder
    allow_outside: bool = False
    #: go on without lines of a list that name no image
    skip_bad_lines: bool = False
    #: RE2 pattern that finds in each key the claim, paper or listing it belongs to: its group `case`
    case_from: str | None = None
    #: share of failed images above which the job gives up, in [0, 1]
    max_failures: float | None = None
    #: images done before `max_failures` counts
    min_sample: int | None = None
    #: address that hears of changes of the job's state
    webhook: str | None = None
    #: folder or s3://bucket/prefix for what came of each image
    completion_report: str | None = None
