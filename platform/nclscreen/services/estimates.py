"""How long a job may take, as far as jobs before it tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.domain import Job
from jobs.lifecycle.estimates import Speed
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What completed jobs with the same model let expect."""

    #: None where there are none
    speed: Speed | None
    images: int

    @property
    def seconds(self) -> float | None:
        return None if self.speed is None else self.images / self.speed.images_per_s

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types; `seconds` is null where nothing is known."""
        speed = self.speed
        return {
            "seconds": self.seconds,
            "images_per_s": None if speed is None else speed.images_per_s,
            "from_jobs": [] if speed is None else list(speed.job_ids),
        }


def estimate(wiring: Wiring, job: Job) -> Estimate:
    """Of a prepared job."""
    return Estimate(speed=wiring.jobs.recent_speed(job.model.fingerprint), images=job.counts.total)
