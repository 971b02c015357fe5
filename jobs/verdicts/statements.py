"""Filters and places as SQL. The plans of these statements are guarded by tests/contract/test_query_plans.py."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, and_, exists, func, select, text, tuple_

from jobs.domain import JobId, ReviewState
from jobs.domain.pages import Place
from jobs.sql.matching import begins_with, is_text, model_is
from jobs.sql.review_tables import audit_images
from jobs.sql.tables import jobs, reviews, verdicts
from jobs.stored_text import storable
from jobs.verdicts.filters import Change, VerdictFilter
from jobs.verdicts.rows import FoundVerdict, joined

_Condition = ColumnElement[bool] | TextClause

_OF_IMAGE = and_(audit_images.c.job_id == verdicts.c.job_id, audit_images.c.ordinal == verdicts.c.ordinal)


def page_statement(wanted: VerdictFilter, after: Place | None, limit: int) -> Select[Any]:
    """The first verdicts behind a place, in the order of the filter."""
    order = _order(wanted)
    conditions = _conditions(wanted)
    if after is not None:
        place = tuple_(*order)
        conditions.append(place < tuple_(*after) if wanted.ranked else place > tuple_(*after))
    directed = [column.desc() for column in order] if wanted.ranked else order
    found = joined() if wanted.audit is None else _with_audit(joined())
    return found.where(*conditions).order_by(*directed).limit(limit)


def _with_audit(found: Select[Any]) -> Select[Any]:
    return found.add_columns(audit_images.c.place.label("audit_place")).join(audit_images, _OF_IMAGE)


def count_statement(wanted: VerdictFilter) -> Select[int]:
    """How many pass the filter."""
    of_jobs = verdicts.join(jobs, jobs.c.id == verdicts.c.job_id)
    counted: Select[int] = select(func.count()).select_from(of_jobs)
    return (counted if wanted.audit is None else counted.join(audit_images, _OF_IMAGE)).where(*_conditions(wanted))


def place_kinds(wanted: VerdictFilter) -> tuple[type, ...]:
    """The types of a place in the order of the filter."""
    if not wanted.ranked:
        return (int,)
    return (float, int) if wanted.job_id is not None else (float, str, int)


def place_of(wanted: VerdictFilter, found: FoundVerdict) -> Place:
    """Where this verdict is in the order of the filter."""
    verdict = found.verdict
    if wanted.audit is not None:
        return (found.audit_place,)
    if not wanted.ranked:
        return (verdict.ordinal,)
    of_job = () if wanted.job_id is not None else (found.job_id,)
    return (verdict.score, *of_job, verdict.ordinal)


def _order(wanted: VerdictFilter) -> list[ColumnElement[Any]]:
    if wanted.audit is not None:
        return [audit_images.c.place]
    if not wanted.ranked:
        return [verdicts.c.ordinal]
    of_job = [] if wanted.job_id is not None else [verdicts.c.job_id]
    return [verdicts.c.score, *of_job, verdicts.c.ordinal]


def _conditions(wanted: VerdictFilter) -> list[_Condition]:
    conditions: list[_Condition] = []
    if wanted.flagged is not None:
        # as text, alone: SQLAlchemy writes "flagged = 1" for SQLite, which then does not see the partial index
        conditions.append(text("verdicts.flagged" if wanted.flagged else "NOT verdicts.flagged"))
    if wanted.job_id is not None:
        conditions.append(is_text(verdicts.c.job_id, wanted.job_id))
    if wanted.container is not None:
        conditions.append(is_text(verdicts.c.container, wanted.container))
    if wanted.prefix:
        conditions.append(begins_with(verdicts.c.key, wanted.prefix))
    if wanted.model is not None:
        conditions.append(model_is(wanted.model))
    if wanted.error_code is not None:
        conditions.append(verdicts.c.error_code == wanted.error_code.value)
    if wanted.failed or wanted.error_code is not None:
        conditions.append(verdicts.c.error_code.is_not(None))  # as the partial index says it
    elif wanted.failed is False:
        conditions.append(verdicts.c.error_code.is_(None))
    if wanted.case is not None:
        conditions += [verdicts.c.case_name == storable(wanted.case), verdicts.c.case_name.is_not(None)]
    if wanted.signal is not None:
        # as a name of the document: quotes inside of its values are escaped
        conditions += [verdicts.c.signals.contains(f'"{wanted.signal}":'), verdicts.c.signals.is_not(None)]
    if wanted.project is not None:
        conditions.append(is_text(jobs.c.project, wanted.project))
    if wanted.against is not None and wanted.change is not None:
        conditions += _changed(wanted.against, wanted.change)
    return conditions + _reviewing(wanted) + _bounds(wanted)


def _changed(against: JobId, change: Change) -> list[_Condition]:
    """The other verdict is looked up by the hash of its key, which an index has."""
    other = verdicts.alias("other")
    here, there = verdicts.c.flagged, other.c.flagged
    how = {Change.FLAGGED: [here, ~there], Change.CLEARED: [~here, there], Change.ANY: []}[change]
    same_place = and_(
        is_text(other.c.job_id, against),
        other.c.key_hash == verdicts.c.key_hash,
        other.c.key == verdicts.c.key,
        other.c.container == verdicts.c.container,
        other.c.score.is_not(None),
        *how,
    )
    return [verdicts.c.score.is_not(None), exists().where(same_place)]


def _reviewing(wanted: VerdictFilter) -> list[_Condition]:
    """What people have to do with it."""
    conditions: list[_Condition] = []
    if wanted.review is not None:
        conditions.append(_review_is(wanted.review))
    if wanted.audit is not None and wanted.job_id is not None:
        conditions += [is_text(audit_images.c.job_id, wanted.job_id), audit_images.c.audit == wanted.audit]
    if wanted.second_look is not None:
        state = verdicts.c.second_look
        conditions += [state == wanted.second_look.value, state.is_not(None)]  # as the partial index says it
    if wanted.not_by is not None:
        conditions.append(~_has_spoken(wanted.not_by))
    return conditions


def _has_spoken(reviewer: str) -> ColumnElement[bool]:
    of_image = and_(reviews.c.job_id == verdicts.c.job_id, reviews.c.ordinal == verdicts.c.ordinal)
    return exists().where(of_image, is_text(reviews.c.reviewer, reviewer))


def _review_is(state: ReviewState) -> _Condition:
    review = verdicts.c.review
    if state is ReviewState.UNREVIEWED:
        return review.is_(None)
    return and_(review == state.value, review.is_not(None))  # as the partial index says it


def _bounds(wanted: VerdictFilter) -> list[_Condition]:
    score, area = verdicts.c.score, verdicts.c.tampered_area
    bounds = [(wanted.min_score, score.__ge__), (wanted.max_score, score.__le__)]
    bounds += [(wanted.min_area, area.__ge__), (wanted.max_area, area.__le__)]
    return [compare(value) for value, compare in bounds if value is not None]
