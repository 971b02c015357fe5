"""The audits of one database: drawn, found, counted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Row, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from jobs.domain import Decision, Job, JobId
from jobs.domain.audits import Audit, AuditStratum
from jobs.domain.states import JobState
from jobs.errors import RequestRefused, VerdictsRemoved
from jobs.reviews.audit_figures import ReviewedStratum
from jobs.reviews.audit_sampling import AuditSampler
from jobs.reviews.errors import AuditNotFound, NothingToAudit
from jobs.sql.database import reading, writing
from jobs.sql.review_tables import audit_images, audits
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import verdicts
from jobs.stored_text import storable

#: rows of one transaction
_CHUNK = 20_000
#: two people who draw at the same moment: who comes second tries again
_TRIES = 20
#: in these no verdict comes or goes any more
_SETTLED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class AuditStore:
    """Draws samples of jobs, and says how far people are with them."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def draw(self, job: Job, *, size: int, seed: int, drawn_by: str) -> Audit:
        """A sample of the job's scored images; where the last one was drawn by the same numbers, that one.

        All images are read once, some thousand in a transaction. Raises RequestRefused for a job that is not over
        or whose threshold is being changed, NothingToAudit.
        """
        if job.state not in _SETTLED or job.reflag_to is not None:
            raise RequestRefused(job.id, "audit", job.state, "wait until it is over, and no threshold is being changed")
        asked = (size, seed, job.threshold)
        last = self._last(job.id)
        if last is not None and (last.size, last.seed, last.threshold) == asked:
            return last
        if job.verdicts_removed_at is not None:
            raise VerdictsRemoved(job.id, "audit", job.state)
        sampler = AuditSampler(threshold=job.threshold, size=size, seed=seed)
        unscored = self._read(job.id, sampler)
        if not any(stratum.images for stratum in sampler.strata()):
            raise NothingToAudit(job.id)
        fixed = {"size": size, "seed": seed, "threshold": job.threshold, "unscored": unscored}
        return self._written(job.id, sampler, fixed | {"drawn_by": storable(drawn_by)})

    def get(self, job_id: JobId, number: int | None = None) -> Audit:
        """That one, or the last one. Raises AuditNotFound."""
        found = self._last(job_id, number)
        if found is None:
            raise AuditNotFound(job_id, number)
        return found

    def reviewed(self, audit: Audit) -> list[ReviewedStratum]:
        """How many of the drawn images are what, by the decision that holds; strata without images are left out."""
        of_image = and_(verdicts.c.job_id == audit_images.c.job_id, verdicts.c.ordinal == audit_images.c.ordinal)
        counted = (
            select(audit_images.c.stratum, verdicts.c.review, func.count())
            .join(verdicts, of_image)
            .where(audit_images.c.job_id == audit.job_id, audit_images.c.audit == audit.number)
            .where(verdicts.c.review.is_not(None))
            .group_by(audit_images.c.stratum, verdicts.c.review)
        )
        found: dict[int, dict[str, int]] = defaultdict(dict)
        with reading(self._engine) as connection:
            for stratum, review, images in connection.execute(counted):
                found[stratum][Decision(review).value] = int(images)
        return [
            ReviewedStratum(stratum=stratum, **found[place])
            for place, stratum in enumerate(audit.strata)
            if stratum.images
        ]

    def _read(self, job_id: JobId, sampler: AuditSampler) -> int:
        """Show the sampler all scored images; gives how many others there are."""
        after, unscored = -1, 0
        wanted = select(verdicts.c.ordinal, verdicts.c.score, verdicts.c.flagged).where(verdicts.c.job_id == job_id)
        while True:
            with reading(self._engine) as connection:
                some = wanted.where(verdicts.c.ordinal > after).order_by(verdicts.c.ordinal).limit(_CHUNK)
                rows = connection.execute(some).all()
            if not rows:
                return unscored
            after = rows[-1].ordinal
            scored = [row for row in rows if row.score is not None]
            unscored += len(rows) - len(scored)
            sampler.add(
                np.array([row.ordinal for row in scored], np.int64),
                np.array([row.score for row in scored], np.float64),
                np.array([row.flagged for row in scored], np.bool_),
            )

    def _written(self, job_id: JobId, sampler: AuditSampler, values: dict[str, Any]) -> Audit:
        rows = [asdict(image) | {"place": place} for place, image in enumerate(sampler.sample())]
        values |= {"job_id": job_id, "strata": [asdict(stratum) for stratum in sampler.strata()]}
        for _ in range(_TRIES):
            try:
                with writing(self._engine) as connection:
                    number = _last_number(connection, job_id) + 1
                    connection.execute(insert(audits).values(**values, number=number, created_at=self._clock()))
                    of_audit = {"job_id": job_id, "audit": number}
                    connection.execute(insert(audit_images), [row | of_audit for row in rows])
                return self.get(job_id, number)
            except IntegrityError:  # somebody wrote the same number
                continue
        raise NothingToAudit(job_id)  # pragma: no cover - as many people at once

    def _last(self, job_id: JobId, number: int | None = None) -> Audit | None:
        wanted = select(audits).where(audits.c.job_id == job_id).order_by(audits.c.number.desc()).limit(1)
        if number is not None:
            wanted = wanted.where(audits.c.number == number)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else _audit(row)


def _last_number(connection: Connection, job_id: JobId) -> int:
    found = connection.scalar(select(func.max(audits.c.number)).where(audits.c.job_id == job_id))
    return int(found or 0)


def _audit(row: Row[Any]) -> Audit:
    return Audit(
        job_id=JobId(row.job_id),
        number=row.number,
        size=row.size,
        seed=row.seed,
        threshold=row.threshold,
        strata=tuple(AuditStratum(**stratum) for stratum in row.strata),
        unscored=row.unscored,
        drawn_by=row.drawn_by,
        created_at=row.created_at,
    )
