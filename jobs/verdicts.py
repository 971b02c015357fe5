"""Questions to the verdicts: the flagged images, one image, the failures, the spread of scores. All answers stream."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, TextClause, false, func, select, text

from jobs.domain import JobId, Verdict
from jobs.errors import VerdictNotFound
from jobs.sql.database import reading
from jobs.sql.rows import hash_key, verdict_from_row
from jobs.sql.tables import jobs, verdicts
from jobs.stored_text import is_storable

#: bars of the score histogram over [0, 1]
HISTOGRAM_BINS = 50
_CHUNK = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class FlaggedQuery:
    """Which flagged images are asked for; highest score first."""

    job_id: JobId | None = None
    #: in [0, 1]
    min_score: float | None = None
    #: the key begins with this
    prefix: str | None = None
    limit: int | None = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class JobVerdict:
    """A verdict together with the job it belongs to."""

    job_id: JobId
    verdict: Verdict


class VerdictStore:
    """The verdicts of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def flagged(self, query: FlaggedQuery) -> Generator[JobVerdict, None, None]:
        """Flagged images, highest score first."""
        yield from self._stream(flagged_statement(query))

    def failed(self, job_id: JobId, limit: int | None = None) -> Generator[JobVerdict, None, None]:
        """Images of a job that have an error code, in manifest order."""
        found = (
            _joined()
            .where(verdicts.c.job_id == job_id, verdicts.c.error_code.is_not(None))
            .order_by(verdicts.c.ordinal)
            .limit(limit)
        )
        yield from self._stream(found)

    def of_job(self, job_id: JobId) -> Generator[JobVerdict, None, None]:
        """Every verdict of a job, in manifest order."""
        yield from self._stream(_joined().where(verdicts.c.job_id == job_id).order_by(verdicts.c.ordinal))

    def batches(self, job_id: JobId, size: int = 2000) -> Generator[list[Verdict], None, None]:
        """Every verdict of a job, in manifest order, in transactions that stay short however slow the reader is."""
        last = -1
        while True:
            wanted = (
                _joined()
                .where(verdicts.c.job_id == job_id, verdicts.c.ordinal > last)
                .order_by(verdicts.c.ordinal)
                .limit(size)
            )
            with reading(self._engine) as connection:
                batch = [verdict_from_row(row) for row in connection.execute(wanted)]
            if not batch:
                return
            yield batch
            last = batch[-1].ordinal

    def one(self, job_id: JobId, key: str) -> Verdict:
        """The verdict for a key in a job. Raises VerdictNotFound."""
        if not is_storable(key):
            raise VerdictNotFound(job_id, key)
        found = (
            _joined()
            .where(verdicts.c.job_id == job_id, verdicts.c.key_hash == hash_key(key), verdicts.c.key == key)
            .order_by(verdicts.c.ordinal + 0)  # else SQLite walks the whole job in this order
            .limit(1)
        )
        with reading(self._engine) as connection:
            row = connection.execute(found).one_or_none()
        if row is None:
            raise VerdictNotFound(job_id, key)
        return verdict_from_row(row)

    def score_histogram(self, job_id: JobId) -> list[int]:
        """Images per score bin: `HISTOGRAM_BINS` bins over [0, 1], the last one closed."""
        scaled = func.floor(verdicts.c.score * HISTOGRAM_BINS)
        counted = (
            select(scaled, func.count())
            .where(verdicts.c.job_id == job_id, verdicts.c.score.is_not(None))
            .group_by(scaled)
        )
        bins = [0] * HISTOGRAM_BINS
        with reading(self._engine) as connection:
            for position, count in connection.execute(counted):
                bins[min(int(position), HISTOGRAM_BINS - 1)] += count
        return bins

    def error_counts(self, job_id: JobId) -> dict[str, int]:
        """Images per error code, most frequent first."""
        counted = (
            select(verdicts.c.error_code, func.count().label("images"))
            .where(verdicts.c.job_id == job_id, verdicts.c.error_code.is_not(None))
            .group_by(verdicts.c.error_code)
            .order_by(func.count().desc(), verdicts.c.error_code)
        )
        with reading(self._engine) as connection:
            return {str(code): int(images) for code, images in connection.execute(counted)}

    def _stream(self, statement: Select[Any]) -> Generator[JobVerdict, None, None]:
        # closed also when the reader stops early: PostgreSQL keeps the rest of the answer open on the server
        with (
            reading(self._engine) as connection,
            connection.execution_options(yield_per=_CHUNK).execute(statement) as rows,
        ):
            for row in rows:
                yield JobVerdict(job_id=JobId(row.job_id), verdict=verdict_from_row(row))


def flagged_statement(query: FlaggedQuery) -> Select[Any]:
    """The flagged query as SQL; its plan is guarded by a test."""
    # as text, "flagged" alone: SQLAlchemy writes "flagged = 1" for SQLite, which then does not see the partial index
    conditions: list[ColumnElement[bool] | TextClause] = [text("verdicts.flagged")]
    if query.job_id is not None:
        conditions.append(verdicts.c.job_id == query.job_id)
    if query.min_score is not None:
        conditions.append(verdicts.c.score >= query.min_score)
    if query.prefix:
        begins = func.substr(verdicts.c.key, 1, len(query.prefix)) == query.prefix
        conditions.append(begins if is_storable(query.prefix) else false())
    order = [verdicts.c.score.desc(), verdicts.c.job_id.desc(), verdicts.c.ordinal.desc()]
    return _joined().where(*conditions).order_by(*order).limit(query.limit)


def _joined() -> Select[Any]:
    return select(verdicts, jobs.c.model_fingerprint).join(jobs, jobs.c.id == verdicts.c.job_id)
