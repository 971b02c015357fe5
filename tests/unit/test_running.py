"""Running one job to its end: what happens before anything is started."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from support.builders import new_job

from jobs.domain import Job, JobId
from jobs.domain.states import JobState
from nclscreen.services import running
from nclscreen.wiring import Wiring


class Person:
    """Pauses the job before it is prepared, and goes on later."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.seen: list[JobState] = []

    def follow(self, job_id: JobId, alive: Callable[[], None], until: Container[JobState]) -> Job:
        deadline = threading.Event()
        for _ in range(1000):
            job = self._wiring.jobs.get(job_id)
            self.seen.append(job.state)
            if job.state in until:
                return job
            if job.state is JobState.PAUSED:
                self._wiring.jobs.resume(job_id)
            deadline.wait(0.02)
        raise TimeoutError

    def agrees(self, job: Job) -> bool:
        return False

    def starting(self) -> AbstractContextManager[None]:
        return nullcontext()

    def stopping(self) -> None: ...


def test_a_pause_while_preparing_is_waited_for_before_anything_is_started(wiring: Wiring, tmp_path: Path) -> None:
    job_id = wiring.jobs.submit(new_job(source=(tmp_path / "empty").as_uri()))
    wiring.jobs.pause(job_id)
    (tmp_path / "empty").mkdir()
    person = Person(wiring)
    assert running.run_to_the_end(wiring, job_id, person).state is JobState.FAILED  # nothing in it
    assert person.seen[0] is JobState.PAUSED
