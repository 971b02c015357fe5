"""What a job's verdicts amount to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import JSON, ColumnElement, Connection, cast, func, select, type_coerce

from jobs.domain import JobId
from jobs.sql.tables import verdicts

#: kinds of evidence that a verdict may have, see `ncl_model.inference.judging.Evidence`
_KINDS = ("pixels", "traces", "copies")
#: bars of the score histogram over [0, 1]
HISTOGRAM_BINS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceCounts:
    """How many images could be tested for which kind of evidence."""

    #: scored by a model of several kinds
    images: int
    by_kind: Mapping[str, int]


def score_histogram(connection: Connection, job_id: JobId) -> list[int]:
    """Images per score bin: `HISTOGRAM_BINS` bins over [0, 1], the last one closed."""
    scaled = func.floor(verdicts.c.score * HISTOGRAM_BINS)
    counted = (
        select(scaled, func.count()).where(verdicts.c.job_id == job_id, verdicts.c.score.is_not(None)).group_by(scaled)
    )
    bins = [0] * HISTOGRAM_BINS
    for position, count in connection.execute(counted):
        bins[min(int(position), HISTOGRAM_BINS - 1)] += count
    return bins


def error_counts(connection: Connection, job_id: JobId) -> dict[str, int]:
    """Images per error code, most frequent first."""
    counted = (
        select(verdicts.c.error_code, func.count().label("images"))
        .where(verdicts.c.job_id == job_id, verdicts.c.error_code.is_not(None))
        .group_by(verdicts.c.error_code)
        .order_by(func.count().desc(), verdicts.c.error_code)
    )
    return {str(code): int(images) for code, images in connection.execute(counted)}


def evidence_counts(connection: Connection, job_id: JobId) -> EvidenceCounts:
    """Images with evidence, and those of them that have a score of each kind."""
    counted = select(
        func.count(verdicts.c.evidence).label("images"),
        *(func.count(_score_of(kind, connection)).label(kind) for kind in _KINDS),
    ).where(verdicts.c.job_id == job_id, verdicts.c.evidence.is_not(None))
    row = connection.execute(counted).one()
    return EvidenceCounts(images=row.images, by_kind={kind: getattr(row, kind) for kind in _KINDS})


def _score_of(kind: str, connection: Connection) -> ColumnElement[float]:
    # SQLite keeps JSON as text and knows no such type: what is cast to it becomes a number
    as_json = type_coerce if connection.dialect.name == "sqlite" else cast
    score: ColumnElement[float] = as_json(verdicts.c.evidence, JSON)["scores", kind].as_float()
    return score
