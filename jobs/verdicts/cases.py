"""The cases of a job: what the images of one claim, paper or listing amount to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, literal, select, tuple_

from jobs.domain import JobId
from jobs.domain.pages import Page, decode_cursor, encode_cursor, filter_digest
from jobs.sql.tables import verdicts

#: stands for "no score" in the order: below every score
_NONE = -1.0
#: flagged images that are looked at for the most suspect cases
_HIGHEST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFilter:
    """Which cases of a job, and in which order."""

    job_id: JobId
    #: with a flagged image, or without any
    flagged: bool | None = None
    #: with a flagged image that nobody has reviewed, or without any
    unreviewed: bool | None = None
    #: by name; else the most suspect first
    by_name: bool = False

    @property
    def digest(self) -> str:
        """The same for equal filters, another one for others."""
        return filter_digest({"cases": True, **asdict(self)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One case of a job, as far as it was screened. It is as suspect as its worst image."""

    name: str
    images: int
    #: of its worst image, in [0, 1]; None where no image has one
    score: float | None
    flagged: int
    #: flagged, and nobody has said anything of them
    unreviewed: int
    #: somebody said that they were tampered with
    confirmed: int
    #: without a score
    failed: int


def page_of_cases(connection: Connection, wanted: CaseFilter, limit: int, cursor: str | None) -> Page[Case]:
    """Up to `limit` cases, and the cursor of the next page. Raises InvalidCursor."""
    found = [_case(row) for row in connection.execute(_statement(wanted, cursor).limit(limit + 1))]
    if len(found) <= limit:
        return Page(items=tuple(found))
    last = found[limit - 1]
    place = (last.name,) if wanted.by_name else (_NONE if last.score is None else last.score, last.name)
    return Page(items=tuple(found[:limit]), next_cursor=encode_cursor(place, wanted.digest))


def most_suspect_cases(connection: Connection, job_id: JobId, most: int) -> list[tuple[str, float]]:
    """Up to `most` cases with flagged images and the score of their worst one, the most suspect first.

    Of those that the highest-scoring images belong to, so that it takes as long in a job of millions as in a small one.
    """
    row = verdicts.c
    highest = (
        select(row.case_name, row.score)
        .where(row.job_id == job_id, row.flagged, row.score.is_not(None))
        .order_by(row.score.desc(), row.ordinal.desc())
        .limit(_HIGHEST)
        .subquery()
    )
    worst = func.max(highest.c.score)
    found = (
        select(highest.c.case_name, worst)
        .where(highest.c.case_name.is_not(None))
        .group_by(highest.c.case_name)
        .order_by(worst.desc(), highest.c.case_name)
        .limit(most)
    )
    return [(name, score) for name, score in connection.execute(found)]


def _statement(wanted: CaseFilter, cursor: str | None) -> Select[Any]:
    row = verdicts.c
    worst = func.coalesce(func.max(row.score), literal(_NONE))
    flagged = _count(row.flagged)
    unreviewed = _count(row.flagged & row.review.is_(None))
    statement = (
        select(
            row.case_name,
            func.count().label("images"),
            func.max(row.score).label("score"),
            flagged.label("flagged"),
            unreviewed.label("unreviewed"),
            _count(row.review == "confirmed").label("confirmed"),
            _count(row.score.is_(None)).label("failed"),
        )
        .where(row.job_id == wanted.job_id, row.case_name.is_not(None))
        .group_by(row.case_name)
    )
    for asked, counted in ((wanted.flagged, flagged), (wanted.unreviewed, unreviewed)):
        if asked is not None:
            statement = statement.having(counted > 0 if asked else counted == 0)
    if wanted.by_name:
        if cursor is not None:
            statement = statement.where(row.case_name > decode_cursor(cursor, wanted.digest, (str,))[0])
        return statement.order_by(row.case_name)
    if cursor is not None:
        place = decode_cursor(cursor, wanted.digest, (float, str))
        statement = statement.having(tuple_(worst, row.case_name) < tuple_(*place))
    return statement.order_by(worst.desc(), row.case_name.desc())


def _count(condition: Any) -> Any:
    return func.count(case((condition, literal(1))))


def _case(row: Row[Any]) -> Case:
    return Case(
        name=row.case_name,
        images=row.images,
        score=row.score,
        flagged=row.flagged,
        unreviewed=row.unreviewed,
        confirmed=row.confirmed,
        failed=row.failed,
    )
