"""Between rows of `reviews` and records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from jobs.domain import Container, Decision, Fingerprint, ImageKey, JobId, Review, VerdictRef
from jobs.domain.drawings import DrawingKind, DrawingName
from jobs.verdicts import FoundVerdict


def looked_at(found: FoundVerdict) -> dict[str, Any]:
    """What a review says of the image itself."""
    verdict = found.verdict
    return {
        "job_id": found.job_id,
        "ordinal": verdict.ordinal,
        "container": verdict.container,
        "key": verdict.key,
        "version_id": verdict.version_id,
        "sha256": verdict.sha256,
        "score": verdict.score,
        "flagged": verdict.flagged,
        "model_fingerprint": verdict.fingerprint,
    }


def review_from_row(row: Row[Any]) -> Review:
    return Review(
        ref=VerdictRef(job_id=JobId(row.job_id), ordinal=row.ordinal),
        number=row.number,
        decision=None if row.decision is None else Decision(row.decision),
        reviewer=row.reviewer,
        note=row.note,
        severity=row.severity,
        undoes=row.undoes,
        created_at=row.created_at,
        container=Container(row.container),
        key=ImageKey(row.key),
        version_id=row.version_id,
        sha256=row.sha256,
        score=row.score,
        flagged=row.flagged,
        fingerprint=Fingerprint(row.model_fingerprint),
        bulk=row.bulk,
        blind=bool(row.blind),
        drawing=_drawing(row.drawing_kind, row.drawing),
    )


def _drawing(kind: str | None, sha256: str | None) -> DrawingName | None:
    return None if kind is None or sha256 is None else DrawingName(kind=DrawingKind(kind), sha256=sha256)
