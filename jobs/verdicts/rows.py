"""A verdict together with the job and the model it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, select

from jobs.domain import Decision, Fingerprint, JobId, ModelRef, Verdict, VerdictRef
from jobs.sql.rows import verdict_from_row
from jobs.sql.tables import jobs, verdicts


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundVerdict:
    """One verdict of the database."""

    job_id: JobId
    #: of the job
    model: ModelRef
    #: score from which the job flags
    threshold: float
    verdict: Verdict
    #: the decision that holds; None where there is none
    review: Decision | None = None
    #: its place in the audit that was asked for; None where none was
    audit_place: int | None = None

    @property
    def ref(self) -> VerdictRef:
        return VerdictRef(job_id=self.job_id, ordinal=self.verdict.ordinal)


def joined() -> Select[Any]:
    """Verdicts with what `found_from_row` needs of their jobs."""
    of_job = (jobs.c.model_fingerprint, jobs.c.model_name, jobs.c.threshold)
    return select(verdicts, *of_job).join(jobs, jobs.c.id == verdicts.c.job_id)


def found_from_row(row: Row[Any]) -> FoundVerdict:
    return FoundVerdict(
        job_id=JobId(row.job_id),
        model=ModelRef(name=row.model_name, fingerprint=Fingerprint(row.model_fingerprint)),
        threshold=row.threshold,
        verdict=verdict_from_row(row),
        review=None if row.review is None else Decision(row.review),
        audit_place=getattr(row, "audit_place", None),
    )
