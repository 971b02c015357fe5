"""A run as the command line shows it: progress on standard error, and perhaps a question."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

from jobs.domain import Job, JobId
from jobs.domain.states import FINAL, JobState
from nclscreen.cli import output
from nclscreen.cli.confirming import agreed
from nclscreen.cli.progress import SlownessNotice, follow
from nclscreen.interrupts import Terminated
from nclscreen.logs import start_logging
from nclscreen.services.job_view import slowed
from nclscreen.services.running import run_to_the_end
from nclscreen.surroundings import make_folder
from nclscreen.wiring import Wiring


class RunView:
    """A `nclscreen.services.running.RunObserver` on standard error."""

    def __init__(self, wiring: Wiring, *, yes: bool = False) -> None:
        """`yes`: a job that waits for a person goes on without a question."""
        self._wiring = wiring
        self._yes = yes

    def follow(self, job_id: JobId, alive: Callable[[], None], until: Container[JobState]) -> Job:
        tell_slowness = SlownessNotice(lambda: slowed(self._wiring, self._wiring.jobs.get(job_id)))

        def look() -> None:
            alive()
            tell_slowness()

        return follow(self._wiring.jobs, job_id, look, until)

    def agrees(self, job: Job) -> bool:
        return agreed(self._wiring, job, yes=self._yes)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Say that starting takes a while; write the log from here on."""
        make_folder(self._wiring.settings.home)
        start_logging(self._wiring.settings.home, output.err, self._wiring.settings.log_format)
        with output.err.status("starting Ray and the model"):
            yield

    def stopping(self) -> None:
        if output.err.is_terminal:
            output.err.print("stopping", style="dim")


def run_job(wiring: Wiring, job_id: JobId, *, yes: bool = False) -> Job:
    """Run a job to its end; whoever breaks it off is told how it goes on."""
    try:
        return run_to_the_end(wiring, job_id, RunView(wiring, yes=yes))
    except (KeyboardInterrupt, Terminated):
        job = wiring.jobs.get(job_id)
        if job.state not in FINAL:
            output.err.print(
                f"interrupted: {job.counts.done:,} of {job.counts.total:,} images are recorded. "
                f"go on with: nclscreen screen --resume {job_id}; drop it with: nclscreen cancel {job_id}"
            )
        raise
