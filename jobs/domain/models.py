"""Which model a job is pinned to."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.domain.ids import Fingerprint, JobId


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRef:
    """The model version a job is pinned to."""

    name: str
    #: sha256 over weights, preprocessing and numeric precision, in hex
    fingerprint: Fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDemand:
    """Jobs that are to be screened by one model version."""

    model: ModelRef
    #: the highest of theirs
    priority: int
    #: the first that was submitted
    first_job: JobId
    jobs: int
