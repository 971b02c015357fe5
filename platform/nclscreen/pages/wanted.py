"""What addresses of pages ask for: the API's filters, as forms send them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from jobs.domain import Job
from jobs.domain.states import JobState
from jobs.lifecycle.job_filters import JobFilter
from jobs.verdicts import VerdictFilter
from nclscreen.api.lists import Paged
from nclscreen.api.verdicts import VerdictsFilter
from nclscreen.wiring import Wiring

#: fields that say where in the list, not which list
_PLACE = frozenset({"cursor", "job", "at", "clear"})


class FromForm(Paged):
    """A form sends every field of it, also those that nobody filled in."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, said: Any) -> Any:
        return {name: value for name, value in said.items() if value != ""} if isinstance(said, dict) else said

    @property
    def asked(self) -> dict[str, Any]:
        """What was said of the list, without the place in it."""
        return self.model_dump(mode="json", include=self.model_fields_set - _PLACE)


class JobsAsked(FromForm):
    """Which jobs."""

    limit: int = Field(30, ge=1, le=200)
    state: JobState | None = None
    name: str | None = None
    tag: str | None = None
    model: str | None = None

    @property
    def filter(self) -> JobFilter:
        return JobFilter(**self.model_dump(exclude={"limit", "cursor"}))


class ImagesAsked(VerdictsFilter, FromForm):
    """Which images of one job."""

    limit: int = Field(60, ge=1, le=200)
    #: show photographs though the browser is set to be careful
    clear: bool = False

    def filter(self, wiring: Wiring, job: Job) -> VerdictFilter:
        return self.model_copy(update={"job": job.id}).on(wiring)


class ReviewAsked(ImagesAsked):
    """Which images of one job, and which of them first."""

    at: int | None = Field(None, ge=0, lt=2**63)
