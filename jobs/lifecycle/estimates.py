"""How fast jobs with a model went lately: what is known before a job begins about how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from sqlalchemy import select

from jobs.domain import Fingerprint, JobId
from jobs.domain.states import JobState
from jobs.lifecycle.job_table import JobTable
from jobs.sql.database import reading
from jobs.sql.tables import jobs

_RECENT = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """The median speed of recent jobs."""

    images_per_s: float
    #: the jobs it comes from, newest first
    job_ids: tuple[JobId, ...]


class Estimates(JobTable):
    """What the past says about the future."""

    def recent_speed(self, fingerprint: Fingerprint) -> Speed | None:
        """Scored images per second, from begin to end, of the last completed jobs with this model; None without any.

        Each job counts as a whole, so the model's start and other jobs beside it are in the figure.
        """
        took = jobs.c.finished_at - jobs.c.started_at
        wanted = (
            select(jobs.c.id, ((jobs.c.scored + jobs.c.failed) / took).label("images_per_s"))
            .where(jobs.c.state == JobState.COMPLETED.value, jobs.c.model_fingerprint == fingerprint)
            .where(jobs.c.scored > 0, took > 0)
            .order_by(jobs.c.finished_at.desc())
            .limit(_RECENT)
        )
        if self._project is not None:
            wanted = wanted.where(jobs.c.project == self._project)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        if not rows:
            return None
        return Speed(
            images_per_s=median(float(row.images_per_s) for row in rows), job_ids=tuple(JobId(row.id) for row in rows)
        )
