"""Live progress of one job, read from the database: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs.domain import Job, JobId
from jobs.domain.states import FINAL, JobState
from jobs.lifecycle.job_store import JobStore
from nclscreen.cli.output import err
from nclscreen.cli.patience import patiently
from nclscreen.interrupts import heed_termination
from nclscreen.quantities import duration_in_words
from nclscreen.visible_text import visible_text

_LOOK_S = 0.5
_LINE_EVERY_S = 5.0
_RATE_WINDOW_S = 60.0
_ALONE_S = 10.0
_SLOWNESS_EVERY_S = 2.0
_WAITING = (JobState.PAUSED, JobState.AWAITING_CONFIRMATION)
#: columns the words beside the bar need, as a rule
_WORDS_WIDTH = 72


class Rate:
    """Images per second over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, done: int, now: float) -> float | None:
        """The rate with `done` images at `now` (seconds); None before the first image."""
        if not self._seen or self._seen[-1][1] != done:
            self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[0][0] < now - _RATE_WINDOW_S:
            self._seen.popleft()
        first = self._seen[0]
        elapsed = now - first[0]
        return (done - first[1]) / elapsed if done > first[1] and elapsed > 0 else None


class Attendance:
    """Notices when nobody works on a job, so that a watcher does not wait for nothing."""

    def __init__(self, store: JobStore, job_id: JobId, waits_for: Callable[[], str | None] | None = None) -> None:
        """`waits_for` says what is in the job's way; else what the job's own rows say."""
        self._store = store
        self._job_id = job_id
        self._waits_for = waits_for or (lambda: store.waits_for(job_id))
        self._alone_since: float | None = None
        self._told = False

    def __call__(self) -> None:
        """Look; after a while without anybody, say so once, unless the job waits for a person."""
        if self._store.get(self._job_id).state in _WAITING or self._store.attended(self._job_id):
            self._alone_since = None
            return
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if not self._told and now - self._alone_since > _ALONE_S:
            self._told = True
            trouble = self._waits_for()
            waits = "" if trouble is None else f", it waits: {visible_text(trouble)}"
            how = "it goes on once 'nclscreen up' runs on this database and it is its turn"
            err.print(f"nobody works on this job now{waits}; {how}", markup=False)


class SlownessNotice:
    """Says when a job begins to go on more slowly than usual, and when that is over."""

    def __init__(self, slowed: Callable[[], str | None]) -> None:
        """`slowed` says why; it is asked every few seconds."""
        self._slowed = slowed
        self._told: str | None = None
        self._next_look = 0.0

    def __call__(self) -> None:
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + _SLOWNESS_EVERY_S
        found = self._slowed()
        if found != self._told:
            err.print(found or "all shards at once again", markup=False)
            self._told = found


class PauseNotice:
    """Says once for each pause that the job waits for a person, and how it goes on."""

    def __init__(self) -> None:
        self._paused = False
        self._told_to_confirm = False

    def __call__(self, job: Job) -> None:
        if job.state is JobState.AWAITING_CONFIRMATION and not self._told_to_confirm:
            err.print(f"the job is prepared; it goes on after: nclscreen confirm {job.id}")
            self._told_to_confirm = True
        paused = job.state in (JobState.PAUSING, JobState.PAUSED)
        if paused and not self._paused:
            err.print(f"the job was paused; it goes on after: nclscreen resume {job.id}")
        self._paused = paused


def follow(
    store: JobStore, job_id: JobId, alive: Callable[[], None] = lambda: None, until: Container[JobState] = FINAL
) -> Job:
    """Show progress until the job is in one of the states `until`; gives it as it is then.

    `alive` is called at every look and may raise. A database that is away for some minutes is waited for.
    """
    if not err.is_terminal:
        return _follow_in_lines(store, job_id, alive, until)
    rate, tell_pause = Rate(), PauseNotice()
    with Live(console=err, transient=True, refresh_per_second=4) as live:
        while (job := patiently(lambda: store.get(job_id))).state not in until:
            tell_pause(job)
            live.update(_bar(job, rate.update(job.counts.done, time.monotonic())))
            patiently(alive)
            time.sleep(_LOOK_S)
            heed_termination()
    return job


def _follow_in_lines(store: JobStore, job_id: JobId, alive: Callable[[], None], until: Container[JobState]) -> Job:
    rate, tell_pause = Rate(), PauseNotice()
    next_line = time.monotonic() + _LINE_EVERY_S
    while (job := patiently(lambda: store.get(job_id))).state not in until:
        tell_pause(job)
        now = time.monotonic()
        per_s = rate.update(job.counts.done, now)
        if now >= next_line:
            err.print(progress_line(job, per_s), soft_wrap=True)
            next_line = now + _LINE_EVERY_S
        patiently(alive)
        time.sleep(_LOOK_S)
        heed_termination()
    return job


def progress_line(job: Job, per_s: float | None) -> str:
    """Progress in words: what is done, what was found, how fast, how long it will take."""
    counts = job.counts
    if job.state is JobState.PREPARING:
        waits = f"; it waits: {visible_text(job.preparation_error)}" if job.preparation_error else ""
        return f"preparing: {counts.total:,} images found, {job.found.seen:,} objects looked at{waits}"
    if job.state is JobState.COMPLETING and job.report_error:
        return f"completing: the report waits: {visible_text(job.report_error)}"
    parts = [f"{counts.done:,}/{counts.total:,} images", f"{counts.flagged:,} flagged", f"{counts.failed:,} failed"]
    if per_s:
        parts += [f"{per_s:.1f} images/s", f"{duration_in_words((counts.total - counts.done) / per_s)} left"]
    return f"{job.state.value}: " + ", ".join(parts)


def _bar(job: Job, per_s: float | None) -> Table:
    grid = Table.grid(padding=(0, 1))
    preparing = job.state is JobState.PREPARING
    width = max(8, min(30, err.width - _WORDS_WIDTH))
    bar = ProgressBar(total=job.counts.total or 1, completed=job.counts.done, width=width, pulse=preparing)
    grid.add_row(bar, Text(progress_line(job, per_s)))
    return grid
