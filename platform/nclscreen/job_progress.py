"""How far a job is, how fast it went, and how long it may still take."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.domain import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class JobProgress:
    """Figures of one job at one moment; what cannot be known yet is None."""

    #: of its images, in [0, 1]
    share: float | None
    #: from its start to its end, or until now
    took_s: float | None
    #: images with a verdict, on average from its start
    images_per_s: float | None
    #: at this speed
    left_s: float | None


def job_progress(job: Job, now: float) -> JobProgress:
    """`now`: seconds since the epoch."""
    counts = job.counts
    took_s = None if job.started_at is None else max(0.0, (job.finished_at or now) - job.started_at)
    speed = counts.done / took_s if took_s and counts.done else None
    is_open = job.finished_at is None and counts.total > 0
    return JobProgress(
        share=min(1.0, counts.done / counts.total) if counts.total else None,
        took_s=took_s,
        images_per_s=speed,
        left_s=(counts.total - counts.done) / speed if speed and is_open else None,
    )
