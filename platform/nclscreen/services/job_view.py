"""One job as people and programs look at it: beside its row, what went wrong and what it waits for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.domain import Job
from nclscreen.documents import job_document
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from jobs.webhooks.outbox import Deliveries


@dataclass(frozen=True, kw_only=True, slots=True)
class JobView:
    """A job, and what belongs to it."""

    job: Job
    #: images by error code
    error_codes: dict[str, int]
    #: what is in its way; None where nothing is
    waits_for: str | None
    #: how its messages fared; None where nobody wants any
    webhook: Deliveries | None

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        webhook = None if self.webhook is None else dataclasses.asdict(self.webhook)
        return job_document(self.job) | {
            "error_codes": self.error_codes,
            "waits_for": self.waits_for,
            "webhook": webhook,
        }


def job_view(wiring: Wiring, job_id: str) -> JobView:
    """Raises JobNotFound."""
    job = wiring.jobs.get(job_id)
    return JobView(
        job=job,
        error_codes=wiring.verdicts.error_counts(job.id),
        waits_for=wiring.jobs.waits_for(job.id),
        webhook=wiring.webhooks.summary(job.id) if job.options.webhook else None,
    )
