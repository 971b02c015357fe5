"""Audits: a sample of a job is drawn, people review it, and it says how right the job was."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from jobs.domain import Job
from jobs.domain.audits import Audit
from jobs.domain.times import instant
from jobs.reviews.audit_figures import AuditFigures, Estimate, ReviewedStratum, audit_figures
from jobs.reviews.errors import AuditNotFound
from ncl_model.intervals import CONFIDENCE
from nclscreen.services import checks
from nclscreen.services.reviewing import reviewer_name
from nclscreen.wiring import Wiring

#: images of a sample, from and to
SIZES = (10, 10_000)
#: seeds, to; what JSON numbers hold exactly
LARGEST_SEED = 2**53 - 1
_DIGITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRequest:
    """A sample to be drawn."""

    job_id: str
    #: images, from 10 to 10,000; all there are where there are fewer
    size: int
    #: the same job, size and seed give the same sample
    seed: int
    drawn_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditView:
    """A sample, how far people are with it, and what it says."""

    job: Job
    audit: Audit
    strata: list[ReviewedStratum]
    figures: AuditFigures

    @property
    def unreviewed(self) -> int:
        return sum(each.unreviewed for each in self.strata)

    @property
    def unsure(self) -> int:
        return sum(each.unsure for each in self.strata)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        audit = self.audit
        return {
            "job": audit.job_id,
            "audit": audit.number,
            "size": audit.size,
            "seed": audit.seed,
            "threshold": audit.threshold,
            "drawn_by": audit.drawn_by,
            "created_at": instant(audit.created_at),
            "drawn": audit.drawn,
            "unreviewed": self.unreviewed,
            "unsure": self.unsure,
            "unscored": audit.unscored,
            "strata": [_stratum_document(each) for each in self.strata],
            "confidence": CONFIDENCE,
            **{name: _rounded(getattr(self.figures, name)) for name in AuditFigures.__dataclass_fields__},
        }


def draw_audit(wiring: Wiring, request: AuditRequest) -> AuditView:
    """Draw a sample. Raises JobNotFound, InvalidRequest, RequestRefused, NothingToAudit."""
    checks.within("size", request.size, *SIZES)
    checks.within("seed", request.seed, 0, LARGEST_SEED)
    job = wiring.jobs.get(request.job_id)
    drawn_by = reviewer_name(request.drawn_by)
    return _view(wiring, job, wiring.audits.draw(job, size=request.size, seed=request.seed, drawn_by=drawn_by))


def audit_view(wiring: Wiring, job_id: str, number: int | None = None) -> AuditView:
    """The last audit of a job, or that one. Raises JobNotFound, AuditNotFound."""
    job = wiring.jobs.get(job_id)
    return _view(wiring, job, wiring.audits.get(job.id, number))


def last_audit(wiring: Wiring, job: Job) -> AuditView | None:
    """The same of a job that may have none."""
    try:
        return _view(wiring, job, wiring.audits.get(job.id))
    except AuditNotFound:
        return None


def _view(wiring: Wiring, job: Job, audit: Audit) -> AuditView:
    strata = wiring.audits.reviewed(audit)
    return AuditView(job=job, audit=audit, strata=strata, figures=audit_figures(strata))


def _stratum_document(each: ReviewedStratum) -> dict[str, Any]:
    said = {"confirmed": each.confirmed, "rejected": each.rejected, "unsure": each.unsure}
    return asdict(each.stratum) | said | {"unreviewed": each.unreviewed}


def _rounded(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {name: round(value, _DIGITS) for name, value in asdict(estimate).items()}
