"""The reviews of one database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from jobs.domain import Decision, JobId, NewReview, Review, VerdictRef
from jobs.domain.access import DEFAULT_PROJECT, ProjectName
from jobs.domain.drawings import Drawing, DrawingName
from jobs.domain.pages import Page, decode_cursor, encode_cursor, filter_digest
from jobs.domain.reviews import SecondLook
from jobs.errors import NothingToUndo, ReviewConflict
from jobs.reviews.drawing_store import keep_drawing
from jobs.reviews.errors import NoSecondLook
from jobs.reviews.review_rows import looked_at, review_from_row
from jobs.reviews.second_look import is_drawn, pair_of, second_look, standing
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock, hash_key
from jobs.sql.tables import jobs, reviews, verdicts
from jobs.verdicts import FoundVerdict

#: two people at one image at the same moment: who comes second tries again
_TRIES = 20
_CHUNK = 500

#: what is to be said, given what was said
_Make = Callable[[list[Review]], dict[str, Any]]


class ReviewStore:
    """Writes reviews behind each other, and reads them."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, found: FoundVerdict, new: NewReview, *, expected: int | None = None) -> Review:
        """Write a review of this verdict.

        `expected`: the number of the last review its writer has seen, 0 for none; None: whatever was said meanwhile.
        Raises ReviewConflict when another one has come in between, and NoSecondLook for a blind one of an image of
        which nobody, or this reviewer, or a second one has decided already.
        """

        def said_now(said: list[Review]) -> dict[str, Any]:
            if new.blind and not _may_look_again(said, new.reviewer):
                raise NoSecondLook(str(found.ref), new.reviewer)
            return _said_anew(new)

        return self._append(found, said_now, expected, new.drawing)

    def add_of_bulk(self, found: Sequence[FoundVerdict], new: NewReview, bulk: str) -> int:
        """Write one review for each of some images, in one transaction; how many were written.

        Passed over are those where another decision holds by now than `found` says.
        """
        try:
            with writing(self._engine) as connection:
                return self._write_together(connection, found, _said_anew(new) | {"bulk": bulk})
        except IntegrityError:  # somebody wrote one of the same numbers: the others one by one
            return sum(self._write_alone(each, new, bulk) for each in found)

    def of_bulk(self, bulk: str) -> Iterator[VerdictRef]:
        """The images that a bulk of reviews was about, in flat memory."""
        after = VerdictRef(job_id=JobId(""), ordinal=-1)
        while chunk := self._bulk_chunk(bulk, after):
            yield from chunk
            after = chunk[-1]

    def undo(
        self, found: FoundVerdict, reviewer: str, *, expected: int | None = None, bulk: str | None = None
    ) -> Review:
        """Take the last decision back, by a new row: what was said before it holds again.

        `bulk`: only where the decision that holds is of this bulk. Raises NothingToUndo where no such thing
        holds, and ReviewConflict as `add` does.
        """

        def taken_back(said: list[Review]) -> dict[str, Any]:
            stands = standing(said)
            if not stands or (bulk is not None and stands[-1].bulk != bulk):
                raise NothingToUndo(str(found.ref))
            return _said_again(stands[-2] if len(stands) > 1 else None, reviewer) | {"undoes": stands[-1].number}

        return self._append(found, taken_back, expected)

    def of(self, ref: VerdictRef) -> list[Review]:
        """All reviews of a verdict, the first one first."""
        with reading(self._engine) as connection:
            return _all(connection, ref)

    def of_images(self, job_id: JobId, ordinals: Collection[int]) -> dict[int, list[Review]]:
        """The same of some images of a job, by ordinal; those without reviews are there too."""
        found: dict[int, list[Review]] = {ordinal: [] for ordinal in ordinals}
        wanted = select(reviews).where(reviews.c.job_id == job_id, reviews.c.ordinal.in_(found))
        with reading(self._engine) as connection:
            for row in connection.execute(wanted.order_by(reviews.c.ordinal, reviews.c.number)):
                found[row.ordinal].append(review_from_row(row))
        return found

    def of_job(self, job_id: JobId, after: int = -1) -> Iterator[Review]:
        """The review that holds for each image of a job that has one, in manifest order, also when the job is gone.

        `after`: only of images behind this ordinal.
        """
        while chunk := self._chunk(job_id, after):
            yield from (review for review in chunk if review.decision is not None)
            after = chunk[-1].ref.ordinal

    def standing(self, project: ProjectName = DEFAULT_PROJECT) -> Iterator[Review]:
        """The review that holds for each image of the project's jobs; jobs that are gone are the default one's."""
        place: tuple[str, int] = ("", -1)
        while chunk := self._standing_chunk(project, place):
            yield from (review for review in chunk if review.decision is not None)
            place = (chunk[-1].ref.job_id, chunk[-1].ref.ordinal)

    def disputed(self, project: ProjectName = DEFAULT_PROJECT) -> set[VerdictRef]:
        """Images, likewise, on which two people differ who did not know of each other, while nobody has settled it."""
        found: set[VerdictRef] = set()
        place: tuple[str, int] = ("", -1)
        of_image = (reviews.c.job_id, reviews.c.ordinal)
        twice = select(*of_image).distinct().outerjoin(jobs, jobs.c.id == reviews.c.job_id)
        twice = twice.where(reviews.c.blind, _of_project(project)).order_by(*of_image).limit(_CHUNK)
        while True:
            with reading(self._engine) as connection:
                some = twice.where(tuple_(*of_image) > tuple_(*place))
                places = [(row.job_id, row.ordinal) for row in connection.execute(some)]
                said = _of_places(connection, places)
            if not places:
                return found
            found |= {ref for ref, words in said.items() if second_look(words, drawn=False) is SecondLook.CONFLICT}
            place = places[-1]

    def page(self, job_id: JobId, limit: int = 100, cursor: str | None = None) -> Page[Review]:
        """The same as one page, and the cursor of the next one. Raises InvalidCursor."""
        digest = filter_digest({"reviews": job_id})
        after = -1 if cursor is None else int(decode_cursor(cursor, digest, (int,))[0])
        found = tuple(islice(self.of_job(job_id, after), limit + 1))
        if len(found) <= limit:
            return Page(items=found)
        return Page(items=found[:limit], next_cursor=encode_cursor((found[limit - 1].ref.ordinal,), digest))

    def counts(self, job_id: JobId) -> dict[str, int]:
        """Images of the job by the decision that holds; every decision is named."""
        counted = select(reviews.c.decision, func.count()).where(*_last(job_id)).group_by(reviews.c.decision)
        with reading(self._engine) as connection:
            found = {decision: int(images) for decision, images in connection.execute(counted)}
        return {decision.value: found.get(decision.value, 0) for decision in Decision}

    def _append(self, found: FoundVerdict, make: _Make, expected: int | None, drawing: Drawing | None = None) -> Review:
        for _ in range(_TRIES):
            try:
                with writing(self._engine) as connection:
                    if drawing is not None:
                        keep_drawing(connection, drawing)
                    return self._write(connection, found, make, expected)
            except IntegrityError:  # somebody wrote the same number
                if expected is not None:
                    break
        raise ReviewConflict(str(found.ref), len(self.of(found.ref)))

    def _write(self, connection: Connection, found: FoundVerdict, make: _Make, expected: int | None) -> Review:
        before = _all(connection, found.ref)
        if expected is not None and expected != len(before):
            raise ReviewConflict(str(found.ref), len(before))
        row = looked_at(found) | make(before) | {"number": len(before) + 1, "created_at": self._clock()}
        connection.execute(insert(reviews).values(**row))
        of_verdict = (verdicts.c.job_id == found.job_id, verdicts.c.ordinal == found.verdict.ordinal)
        said = _all(connection, found.ref)
        state = second_look(said, drawn=is_drawn(hash_key(row["key"]), _share(connection, found.job_id)))
        connection.execute(update(verdicts).where(*of_verdict).values(review=row["decision"], second_look=state))
        return said[-1]

    def _write_together(self, connection: Connection, found: Sequence[FoundVerdict], said: dict[str, Any]) -> int:
        before = _of_places(connection, [(each.ref.job_id, each.ref.ordinal) for each in found])
        holding = [each for each in found if each.review == _holds(before[each.ref])]
        if not holding:
            return 0
        now = connection.scalar(select(self._clock()))
        rows = [looked_at(each) | said | {"number": len(before[each.ref]) + 1, "created_at": now} for each in holding]
        connection.execute(insert(reviews), rows)
        for state, places in self._states(connection, [each.ref for each in holding]).items():
            decided = tuple_(verdicts.c.job_id, verdicts.c.ordinal).in_(places)
            connection.execute(update(verdicts).where(decided).values(review=said["decision"], second_look=state))
        return len(rows)

    @staticmethod
    def _states(connection: Connection, refs: Sequence[VerdictRef]) -> dict[SecondLook | None, list[tuple[str, int]]]:
        """Where these images stand now, as (job, ordinal) by state."""
        shares = {job_id: _share(connection, job_id) for job_id in {ref.job_id for ref in refs}}
        found: dict[SecondLook | None, list[tuple[str, int]]] = defaultdict(list)
        for ref, said in _of_places(connection, [(ref.job_id, ref.ordinal) for ref in refs]).items():
            drawn = is_drawn(hash_key(said[0].key), shares[ref.job_id])
            found[second_look(said, drawn=drawn)].append((ref.job_id, ref.ordinal))
        return found

    def _write_alone(self, found: FoundVerdict, new: NewReview, bulk: str) -> bool:
        def said_together(said: list[Review]) -> dict[str, Any]:
            if found.review != _holds(said):
                raise ReviewConflict(str(found.ref), len(said))
            return _said_anew(new) | {"bulk": bulk}

        try:
            self._append(found, said_together, None)
        except ReviewConflict:
            return False
        return True

    def _standing_chunk(self, project: ProjectName, after: tuple[str, int]) -> list[Review]:
        wanted = (
            select(reviews)
            .outerjoin(jobs, jobs.c.id == reviews.c.job_id)
            .where(_of_project(project), _is_last(), tuple_(reviews.c.job_id, reviews.c.ordinal) > tuple_(*after))
            .order_by(reviews.c.job_id, reviews.c.ordinal)
        )
        with reading(self._engine) as connection:
            return [review_from_row(row) for row in connection.execute(wanted.limit(_CHUNK))]

    def _bulk_chunk(self, bulk: str, after: VerdictRef) -> list[VerdictRef]:
        place = (reviews.c.job_id, reviews.c.ordinal)
        wanted = select(*place).where(reviews.c.bulk == bulk, tuple_(*place) > tuple_(after.job_id, after.ordinal))
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(*place).limit(_CHUNK))
            return [VerdictRef(job_id=JobId(row.job_id), ordinal=row.ordinal) for row in rows]

    def _chunk(self, job_id: JobId, after: int) -> list[Review]:
        wanted = select(reviews).where(*_last(job_id), reviews.c.ordinal > after).order_by(reviews.c.ordinal)
        with reading(self._engine) as connection:
            return [review_from_row(row) for row in connection.execute(wanted.limit(_CHUNK))]


def _said_anew(new: NewReview) -> dict[str, Any]:
    said = {"reviewer": new.reviewer, "note": new.note, "severity": new.severity}
    drawn = _drawn(None if new.drawing is None else new.drawing.name)
    return {"decision": new.decision.value, "undoes": None, "blind": new.blind, **said, **drawn}


def _drawn(drawing: DrawingName | None) -> dict[str, Any]:
    if drawing is None:
        return {"drawing_kind": None, "drawing": None}
    return {"drawing_kind": drawing.kind.value, "drawing": drawing.sha256}


def _said_again(before: Review | None, reviewer: str) -> dict[str, Any]:
    """What was said before, in the name of whoever goes back to it; nothing where it was the first word."""
    if before is None or before.decision is None:
        return {"decision": None, "reviewer": reviewer, "blind": False}
    again = NewReview(decision=before.decision, reviewer=reviewer, note=before.note, severity=before.severity)
    return _said_anew(again) | _drawn(before.drawing)


def _holds(said: list[Review]) -> Decision | None:
    return said[-1].decision if said else None


def _all(connection: Connection, ref: VerdictRef) -> list[Review]:
    wanted = select(reviews).where(reviews.c.job_id == ref.job_id, reviews.c.ordinal == ref.ordinal)
    return [review_from_row(row) for row in connection.execute(wanted.order_by(reviews.c.number))]


def _of_places(connection: Connection, places: Sequence[tuple[str, int]]) -> dict[VerdictRef, list[Review]]:
    """All reviews of some images, the first one first; none where nobody has said anything."""
    found: dict[VerdictRef, list[Review]] = defaultdict(list)
    wanted = select(reviews).where(tuple_(reviews.c.job_id, reviews.c.ordinal).in_(places))
    for row in connection.execute(wanted.order_by(reviews.c.number)):
        found[(review := review_from_row(row)).ref].append(review)
    return found


def _of_project(project: ProjectName) -> ColumnElement[bool]:
    """Reviews joined with their jobs, if these are there."""
    of_project: ColumnElement[bool] = jobs.c.project == project
    return or_(of_project, jobs.c.id.is_(None)) if project == DEFAULT_PROJECT else of_project


def _share(connection: Connection, job_id: JobId) -> float:
    """Of a job's reviewed images that get a second look."""
    return float(connection.scalar(select(jobs.c.second_look).where(jobs.c.id == job_id)) or 0.0)


def _may_look_again(said: list[Review], reviewer: str) -> bool:
    """Whether one person has decided on it, and he is another one."""
    stands = standing(said)
    return bool(stands) and pair_of(said) is None and reviewer not in {review.reviewer for review in stands}


def _last(job_id: JobId) -> list[ColumnElement[bool]]:
    """Rows of a job that are the last of their verdict; found by the primary key, one after the other."""
    return [reviews.c.job_id == job_id, _is_last()]


def _is_last() -> ColumnElement[bool]:
    later = reviews.alias("later")
    of_verdict = (later.c.job_id == reviews.c.job_id, later.c.ordinal == reviews.c.ordinal)
    return ~exists().where(*of_verdict, later.c.number > reviews.c.number)
