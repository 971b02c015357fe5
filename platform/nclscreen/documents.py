"""Jobs and verdicts as JSON documents: the same everywhere they leave the program."""

from __future__ import annotations

from typing import Any

from jobs.domain import Review
from jobs.domain.drawings import DrawingName
from jobs.domain.times import instant
from jobs.job_document import job_document
from jobs.sql.rows import tampered_area
from jobs.verdicts import FoundVerdict
from jobs.verdicts.cases import Case
from nclscreen.quantities import rounded

__all__ = ["case_document", "instant", "job_document", "review_document", "verdict_document"]


def verdict_document(found: FoundVerdict) -> dict[str, Any]:
    verdict = found.verdict
    area = tampered_area(verdict)
    return {
        "ref": str(found.ref),
        "job": found.job_id,
        "ordinal": verdict.ordinal,
        "container": verdict.container,
        "key": verdict.key,
        "score": _rounded(verdict.score),
        "flagged": verdict.flagged,
        "tampered_area": _rounded(area),
        "tampered_areas": [rounded(value) for value in verdict.tampered_areas],
        "evidence": verdict.evidence,
        "signals": verdict.signals,
        "width": verdict.width,
        "height": verdict.height,
        "size": verdict.size,
        "sha256": verdict.sha256,
        "etag": verdict.etag,
        "version_id": verdict.version_id,
        "map_uri": verdict.map_uri,
        "case": verdict.case,
        "review": None if found.review is None else found.review.value,
        "model": found.model.name,
        "model_fingerprint": verdict.fingerprint,
        "error_code": verdict.error_code.value if verdict.error_code else None,
        "error_message": verdict.error_message,
    }


def case_document(case: Case) -> dict[str, Any]:
    return {
        "case": case.name,
        "score": _rounded(case.score),
        "images": case.images,
        "flagged": case.flagged,
        "unreviewed": case.unreviewed,
        "confirmed": case.confirmed,
        "failed": case.failed,
    }


def review_document(review: Review) -> dict[str, Any]:
    """`decision` is null where what was said before was taken back."""
    return {
        "ref": str(review.ref),
        "number": review.number,
        "decision": None if review.decision is None else review.decision.value,
        "reviewer": review.reviewer,
        "note": review.note,
        "severity": review.severity,
        "undoes": review.undoes,
        "bulk": review.bulk,
        "blind": review.blind,
        "drawing": _drawing(review.drawing),
        "created_at": instant(review.created_at),
        "container": review.container,
        "key": review.key,
        "version_id": review.version_id,
        "sha256": review.sha256,
        "score": _rounded(review.score),
        "flagged": review.flagged,
        "model_fingerprint": review.fingerprint,
    }


def _drawing(drawing: DrawingName | None) -> dict[str, Any] | None:
    return None if drawing is None else {"kind": drawing.kind.value, "sha256": drawing.sha256}


def _rounded(value: float | None) -> float | None:
    return None if value is None else rounded(value)
