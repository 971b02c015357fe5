"""The records of the job layer: frozen, keyword-only, free of SQL, storage and Ray. Their names are used from here."""

from jobs.domain.corpus import IMAGE_SUFFIXES, Filters, ImageRef, ManifestProblem, ObjectInfo
from jobs.domain.ids import Container, Cursor, Fingerprint, ImageKey, JobId, ShardId
from jobs.domain.jobs import Counts, FailureThreshold, Job, JobOptions, NewJob, Preparing, RetryImages
from jobs.domain.models import ModelDemand, ModelRef
from jobs.domain.reviews import Decision, NewReview, Review, ReviewState
from jobs.domain.shards import Lease
from jobs.domain.verdicts import Verdict, VerdictRef
from jobs.domain.work import Work, WorkId, WorkKind, WorkState

__all__ = [
    "IMAGE_SUFFIXES",
    "Container",
    "Counts",
    "Cursor",
    "Decision",
    "FailureThreshold",
    "Filters",
    "Fingerprint",
    "ImageKey",
    "ImageRef",
    "Job",
    "JobId",
    "JobOptions",
    "Lease",
    "ManifestProblem",
    "ModelDemand",
    "ModelRef",
    "NewJob",
    "NewReview",
    "ObjectInfo",
    "Preparing",
    "RetryImages",
    "Review",
    "ReviewState",
    "ShardId",
    "Verdict",
    "VerdictRef",
    "Work",
    "WorkId",
    "WorkKind",
    "WorkState",
]
