"""Which jobs are asked for. Free of SQL."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from jobs.domain.pages import filter_digest
from jobs.domain.states import JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFilter:
    """Jobs that pass every part that is set."""

    tag: str | None = None
    state: JobState | None = None
    #: the job's name contains this, any case
    name: str | None = None
    #: the model's name, or the beginning of its fingerprint
    model: str | None = None
    #: seconds since the epoch, both inclusive
    created_after: float | None = None
    created_before: float | None = None

    @property
    def digest(self) -> str:
        """The same for equal filters, another one for others."""
        return filter_digest({name: value for name, value in asdict(self).items() if value is not None})
