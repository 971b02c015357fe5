"""What a job's verdicts amount to."""

from __future__ import annotations

from sqlalchemy import JSON, ColumnElement, Connection, Text, cast, func, select, type_coerce

from jobs.domain import JobId
from jobs.sql.tables import verdicts
from ncl_model.inference.evidence import COPIES, PIXELS, TOGETHER, TRACES

#: kinds of evidence that are counted
_KINDS = (PIXELS, TRACES, TOGETHER, COPIES)
#: bars of the score histogram over [0, 1]
HISTOGRAM_BINS = 50


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


def untestable_counts(connection: Connection, job_id: JobId) -> dict[str, int]:
    """Images that could not be tested for a kind of evidence, by kind; only where there are any."""
    # most were tested for everything: to see that takes no reading of JSON
    text = type_coerce(verdicts.c.evidence, Text)
    some = [text.not_like(f'%"untestable":{space}{{}}%') for space in ("", " ")]
    counted = select(*(func.count(_why_not(kind, connection)).label(kind) for kind in _KINDS)).where(
        verdicts.c.job_id == job_id, verdicts.c.evidence.is_not(None), *some
    )
    row = connection.execute(counted).one()
    return {kind: images for kind in _KINDS if (images := int(getattr(row, kind)))}


def _why_not(kind: str, connection: Connection) -> ColumnElement[str]:
    # SQLite keeps JSON as text and knows no such type: what is cast to it becomes a number
    as_json = type_coerce if connection.dialect.name == "sqlite" else cast
    reason: ColumnElement[str] = as_json(verdicts.c.evidence, JSON)["untestable", kind].as_string()
    return reason
