"""The second looks of one database: whose images get one, how far they are, how far people agree."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from sqlalchemy import Connection, Engine, exists, func, select, update

from jobs.domain import Decision, JobId
from jobs.domain.reviews import SecondLook
from jobs.reviews.agreement import Pair
from jobs.reviews.review_rows import review_from_row
from jobs.reviews.second_look import is_drawn, pair_of
from jobs.sql.database import reading, writing
from jobs.sql.tables import jobs, reviews, verdicts

_CHUNK = 500
_LOOKED_AT_TWICE = [SecondLook.AGREED.value, SecondLook.CONFLICT.value, SecondLook.SETTLED.value]
_IS_THIRD = reviews.c.number == 3


class SecondLooks:
    """Which images two people decide on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def share(self, job_id: JobId) -> float:
        """Of the job's reviewed images, in [0, 1]; 0: none gets a second look."""
        with reading(self._engine) as connection:
            return float(connection.scalar(select(jobs.c.second_look).where(jobs.c.id == job_id)) or 0.0)

    def set_share(self, job_id: JobId, share: float) -> None:
        """From now on, also for images that are reviewed already; those that were looked at twice stay so."""
        with writing(self._engine) as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(second_look=share))
        after: int | None = -1
        while after is not None:
            after = self._set_some(job_id, share, after)

    def counts(self, job_id: JobId) -> dict[str, int]:
        """Images by where they stand; every state is named."""
        state = verdicts.c.second_look
        counted = select(state, func.count()).where(verdicts.c.job_id == job_id, state.is_not(None)).group_by(state)
        with reading(self._engine) as connection:
            found = {name: int(images) for name, images in connection.execute(counted)}
        return {state.value: found.get(state.value, 0) for state in SecondLook}

    def pairs(self, job_id: JobId) -> Counter[Pair]:
        """Images by what the first and the second said of them, in flat memory."""
        with reading(self._engine) as connection:
            found = _plain_pairs(connection, job_id)
        after: int | None = -1
        while after is not None:
            after = self._count_some(job_id, after, found)
        return found

    def _count_some(self, job_id: JobId, after: int, found: Counter[Pair]) -> int | None:
        """Of images of which more than two words were said; the ordinal behind which the rest is."""
        twice = (
            select(verdicts.c.ordinal)
            .where(verdicts.c.job_id == job_id, verdicts.c.ordinal > after)
            .where(verdicts.c.second_look.in_(_LOOKED_AT_TWICE), verdicts.c.second_look.is_not(None))
            .where(exists().where(reviews.c.job_id == job_id, reviews.c.ordinal == verdicts.c.ordinal, _IS_THIRD))
            .order_by(verdicts.c.ordinal)
            .limit(_CHUNK)
        )
        with reading(self._engine) as connection:
            ordinals = list(connection.execute(twice).scalars())
            said = select(reviews).where(reviews.c.job_id == job_id, reviews.c.ordinal.in_(ordinals))
            rows = connection.execute(said.order_by(reviews.c.ordinal, reviews.c.number)).all()
        for _, of_image in groupby(map(review_from_row, rows), key=lambda review: review.ref.ordinal):
            if (pair := pair_of(list(of_image))) is not None:
                found[pair] += 1
        return ordinals[-1] if ordinals else None

    def _set_some(self, job_id: JobId, share: float, after: int) -> int | None:
        """Of some hundred reviewed images, in a transaction of their own; the ordinal behind which the rest is."""
        once = verdicts.c.second_look.is_(None) | (verdicts.c.second_look == SecondLook.WANTED.value)
        some = (
            select(verdicts.c.ordinal, verdicts.c.key_hash)
            .where(verdicts.c.job_id == job_id, verdicts.c.review.is_not(None), once, verdicts.c.ordinal > after)
            .order_by(verdicts.c.ordinal)
            .limit(_CHUNK)
        )
        with writing(self._engine) as connection:
            rows = connection.execute(some).all()
            for drawn, state in ((True, SecondLook.WANTED.value), (False, None)):
                ordinals = [row.ordinal for row in rows if is_drawn(row.key_hash, share) is drawn]
                if ordinals:
                    of_job = (verdicts.c.job_id == job_id, verdicts.c.ordinal.in_(ordinals), once)
                    connection.execute(update(verdicts).where(*of_job).values(second_look=state))
        return rows[-1].ordinal if rows else None


def _plain_pairs(connection: Connection, job_id: JobId) -> Counter[Pair]:
    """Of images of which nothing was said but a first and a second word: nearly all, and counted by the database."""
    first, second, third = (reviews.alias(name) for name in ("first", "second", "third"))
    both = select(first.c.decision, second.c.decision, func.count())
    for number, word in ((1, first), (2, second)):
        both = both.where(word.c.job_id == job_id, word.c.ordinal == first.c.ordinal, word.c.number == number)
    more = exists().where(third.c.job_id == job_id, third.c.ordinal == first.c.ordinal, third.c.number == 3)
    counted = both.where(second.c.blind, ~more).group_by(first.c.decision, second.c.decision)
    return Counter(
        {(Decision(one), Decision(other)): int(images) for one, other, images in connection.execute(counted)}
    )
