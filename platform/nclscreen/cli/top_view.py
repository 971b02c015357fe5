"""What `top` shows, as lines for a terminal of any width. Names, keys and reasons in it are untrusted text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from jobs.domain import JobId
from jobs.domain.states import FINAL, JobState
from jobs.operations.overview import OpenJob, Overview, SeenDispatcher
from nclscreen.cli.output import state_text
from nclscreen.cli.progress import Rate
from nclscreen.job_progress import job_progress
from nclscreen.quantities import duration_in_words, moment_in_words
from nclscreen.visible_text import shorten_middle, visible_text

#: columns of the list of jobs
_HEADINGS = ("job", "state", "done", "images", "rate", "left", "flagged", "failed", "what")
_NUMBERS = frozenset({"done", "images", "rate", "left", "flagged", "failed"})
#: where the terminal is narrow the first of these goes first
_DISPENSABLE = ("failed", "flagged", "left", "rate", "images", "what", "state")
_LONGEST = 60
_GAP = "  "


class Rates:
    """Images a second of each job, and of all, over the last minute of looking; None as long as it is not known."""

    def __init__(self) -> None:
        self._jobs: dict[JobId, Rate] = {}
        self._all = Rate()

    def update(self, seen: Overview) -> tuple[float | None, Mapping[JobId, float | None]]:
        """Look once more. A job that was seen once only has its average since it began."""
        rates = {each.job.id: self._jobs.setdefault(each.job.id, Rate()) for each in seen.jobs}
        self._jobs = rates
        found = {
            each.job.id: rates[each.job.id].update(each.job.counts.done, seen.now)
            or job_progress(each.job, seen.now).images_per_s
            for each in seen.jobs
        }
        return self._all.update(sum(seen.figures.recorded.values()), seen.now), found


def top_lines(
    seen: Overview,
    rates: tuple[float | None, Mapping[JobId, float | None]],
    width: int,
    height: int | None = None,
) -> Iterator[Text]:
    """No line is longer than `width` (at least 24) columns; of the jobs as many are shown as `height` has lines for."""
    above, below = list(_all_lines(seen, rates)), list(_failed_lines(seen))
    room = None if height is None else max(1, height - len(above) - len(below))
    for line in [*above, *_job_lines(seen, rates[1], width, room), *below]:
        line.truncate(width, overflow="ellipsis")
        yield line


def _failed_lines(seen: Overview) -> Iterator[Text]:
    if seen.failures:
        yield Text("")
        yield Text("failed", style="bold")
    for failure in seen.failures:
        line = Text(f"{failure.what} {visible_text(failure.subject)}: ")
        yield line.append(visible_text(failure.reason), style="red")


def _all_lines(seen: Overview, rates: tuple[float | None, Mapping[JobId, float | None]]) -> Iterator[Text]:
    f, overall = seen.figures, rates[0]
    yield Text.assemble(("nclscreen", "bold"), f"  {moment_in_words(seen.now)}")
    yield from _dispatcher_lines(seen.dispatchers)
    speed = f", {overall:,.1f} images/s" if overall else ""
    yield _line(
        "queue",
        f"{f.shards['queued']:,} shards wait, {f.shards['leased']:,} under way; {f.images['waiting']:,} images{speed}",
    )
    if f.queue_age_s >= 1:
        yield _line("", f"a job had no turn for {duration_in_words(f.queue_age_s)}", f.queue_age_s > 900)
    if f.overdue_lease_s:
        ago = duration_in_words(f.overdue_lease_s)
        yield _line("", f"{f.shards['expired']:,} shards overdue, a lease ran out {ago} ago", True)
    if work := [f"{count:,} {kind} {state}" for (kind, state), count in sorted(f.work.items()) if count]:
        yield _line("slow work", ", ".join(work))
    if f.hosted:
        hosted = [f"{model} {state} ({count})" for (model, state), count in sorted(f.hosted.items())]
        yield _line("models", ", ".join(hosted))
    if f.unreviewed:
        ago = duration_in_words(f.oldest_unreviewed_s)
        yield _line("review", f"{f.unreviewed:,} flagged images unreviewed, of jobs up to {ago} old")
    for run in seen.runs:
        yield _line("run", f"{run.id} {run.state}, asked for {duration_in_words(run.age_s)} ago")


def _dispatcher_lines(found: Sequence[SeenDispatcher]) -> Iterator[Text]:
    at_work = [each for each in found if not each.is_gone]
    if not at_work:
        yield _line("works", "nobody works on this database; start: nclscreen up", True)
    for each in at_work:
        lacks = f"; lacks: {visible_text(each.lacks)}" if each.lacks else ""
        budget = f"; {each.budget}" if each.budget is not None else ""
        name = shorten_middle(visible_text(each.name), _LONGEST)
        yield _line("works", f"{name} for {duration_in_words(each.up_s)}{budget}{lacks}", bool(each.lacks))
    for each in found:
        if each.is_gone:
            name = shorten_middle(visible_text(each.name), _LONGEST)
            yield _line("gone", f"{name}, last seen {duration_in_words(each.seen_s)} ago")


def _line(name: str, told: str, alarming: bool = False) -> Text:
    return Text.assemble((f"{name:<11}", "bold"), (told, "yellow" if alarming else ""))


def _job_lines(seen: Overview, rates: Mapping[JobId, float | None], width: int, room: int | None) -> Iterator[Text]:
    """A heading, the jobs, each perhaps with what it waits for, and how many there are beyond: `room` lines."""
    if not seen.jobs:
        return
    rows = [_cells(each, rates.get(each.job.id)) for each in seen.jobs]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in _HEADINGS}
    shown = list(_HEADINGS)
    for name in _DISPENSABLE:
        if sum(widths[each] + len(_GAP) for each in shown) - len(_GAP) > width:
            shown.remove(name)
    yield Text("")
    yield Text(_GAP.join(_padded(name, name, widths) for name in shown).rstrip(), style="bold")
    left = sum(count for state, count in seen.figures.jobs.items() if JobState(state) not in FINAL)
    free = len(seen.jobs) * 2 if room is None else room - 3
    for each, row in zip(seen.jobs, rows, strict=True):
        free -= 2 if each.met else 1
        if free < 0:
            break
        left -= 1
        styles = {"state": str(state_text(each.job.state).style)}
        yield Text.assemble(*[(_padded(name, row[name], widths) + _GAP, styles.get(name, "")) for name in shown])
        if each.met:
            yield Text(f"  waits: {visible_text(each.met)}", style="yellow")
    if left > 0:
        yield Text(f"  and {left:,} more: nclscreen jobs", style="dim")


def _cells(each: OpenJob, per_s: float | None) -> dict[str, str]:
    job, counts = each.job, each.job.counts
    left = (counts.total - counts.done) / per_s if per_s and counts.total else None
    return {
        "job": job.id,
        "state": job.state.value,
        "done": f"{100 * counts.done / counts.total:.0f} %" if counts.total else "",
        "images": f"{counts.done:,}/{counts.total:,}",
        "rate": f"{per_s:,.1f}/s" if per_s else "",
        "left": duration_in_words(left) if left else "",
        "flagged": f"{counts.flagged:,}",
        "failed": f"{counts.failed:,}",
        "what": shorten_middle(visible_text(job.options.name or job.source), _LONGEST),
    }


def _padded(name: str, cell: str, widths: Mapping[str, int]) -> str:
    return cell.rjust(widths[name]) if name in _NUMBERS else cell.ljust(widths[name])
