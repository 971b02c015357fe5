"""Running one job to its end in this process, with whatever it needs started, and stopped again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import Protocol

from jobs.background import in_background
from jobs.domain import Job, JobId
from jobs.domain.states import FINAL, JobState
from jobs.leased_work.keeper import keeping
from nclscreen.services.session import running_session
from nclscreen.wiring import Wiring


class RunObserver(Protocol):
    """How a face takes part in a run: it watches, and a person may be asked."""

    def follow(self, job_id: JobId, alive: Callable[[], None], until: Container[JobState]) -> Job:
        """Wait until the job is in one of these states; gives it as it is then.

        `alive` is to be called every second or so, and raises what broke the work off.
        """

    def agrees(self, job: Job) -> bool:
        """Whether a prepared job that waits for a person may go on."""

    def starting(self) -> AbstractContextManager[None]:
        """Entered while Ray and the model start."""

    def stopping(self) -> None:
        """Called before they are taken down."""


def run_to_the_end(wiring: Wiring, job_id: JobId, observer: RunObserver) -> Job:
    """Prepare the job, start what is needed, work on it until it is over, stop what was started.

    A job that waits for a person who does not agree is given back as it waits.
    """
    job = _prepare(wiring, job_id, observer)
    if job.state in FINAL:
        wiring.do_maintenance(job_id)  # an empty corpus, say: nothing needs to be started for that
        return wiring.jobs.get(job_id)
    if job.state is JobState.AWAITING_CONFIRMATION:
        if not observer.agrees(job):
            return job
        wiring.jobs.confirm(job_id)
    with running_session(wiring, only_job=job_id, starting=observer.starting) as session:
        observer.follow(job_id, session.check, FINAL)
        session.wait()
        job = wiring.jobs.get(job_id)
        observer.stopping()
    return job


def _prepare(wiring: Wiring, job_id: JobId, observer: RunObserver) -> Job:
    """Freeze the corpus here and now, or wait for who does so already."""
    stop = threading.Event()
    with (
        keeping([wiring.held_work], lease_s=wiring.settings.lease_s),
        in_background([wiring.preparing(job_id)], stop),
    ):
        observer.follow(job_id, lambda: None, frozenset(JobState) - {JobState.PREPARING, JobState.PAUSED})
    return wiring.jobs.get(job_id)
