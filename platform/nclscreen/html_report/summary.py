"""The job in words and numbers, as the head of the report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.domain import Job
from jobs.domain.states import FINAL, JobState
from jobs.masking import masked
from ncl_model.inference.evidence import COPIES
from nclscreen.evidence_text import counts_in_words, untestable_in_words
from nclscreen.job_progress import job_progress
from nclscreen.quantities import duration_in_words, moment_in_words


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What the head of the page says."""

    job: Job
    #: (label, text) of the small print
    details: tuple[tuple[str, str], ...]
    #: what a reader must know before believing the numbers; None for a complete job
    caveat: str | None
    took: str
    speed: str
    #: share of the images with a score that are flagged, as text
    flagged_share: str
    #: whether copied regions are drawn on pictures
    shows_copies: bool


def summarize(job: Job, now: float, fired: Mapping[str, int], untestable: Mapping[str, int]) -> Summary:
    """`now` is in seconds since the epoch, UTC; `fired`: in how many flagged images each kind of evidence did;
    `untestable`: how many images could not be tested for it.
    """
    progress = job_progress(job, now)
    counts = job.counts
    judged = counts.scored + counts.reused
    named = [("Name", job.options.name), ("Tags", ", ".join(job.options.tags))]
    details = [
        *((label, text) for label, text in named if text),
        ("Job", job.id),
        ("Model", job.model.name),
        ("Model fingerprint", job.model.fingerprint[:12]),
        ("Threshold", f"{job.threshold:.3f}{_promise(job)}"),
        *_evidence(job, fired, untestable),
        ("Started", moment_in_words(job.started_at)),
        ("Finished", moment_in_words(job.finished_at)),
        ("Left out by the filters", f"{job.ignored:,}"),
    ]
    return Summary(
        job=job,
        details=tuple(details),
        caveat=_caveat(job),
        took="–" if progress.took_s is None else duration_in_words(progress.took_s, tenths=True),
        speed="–" if progress.images_per_s is None else f"{progress.images_per_s:,.1f}",
        flagged_share=f"{counts.flagged / judged:.1%} of those with a score" if judged else "nothing has a score",
        shows_copies=fired.get(COPIES, 0) > 0,
    )


def _promise(job: Job) -> str:
    return f", for at most {100 * job.policy['max_fpr']:g} % false alarms" if job.policy else ""


def _evidence(job: Job, fired: Mapping[str, int], untestable: Mapping[str, int]) -> list[tuple[str, str]]:
    """What spoke for the flagged images, and how many could not be tested for all of it."""
    details = []
    if said := counts_in_words(fired):
        details.append(("Evidence", f"{said} of {job.counts.flagged:,} flagged"))
    if missing := untestable_in_words(untestable):
        details.append(("Could not be tested for", missing))
    return details


def _caveat(job: Job) -> str | None:
    if job.state is JobState.COMPLETED:
        return None
    recorded = f"{job.counts.done:,} of {job.counts.total:,} images had been recorded when this page was written"
    if job.state in FINAL:
        reason = f": {masked(job.error)}" if job.error else ""
        return f"This job {'was ' if job.state is JobState.CANCELLED else ''}{job.state.value}{reason}. {recorded}."
    return f"This job is not over ({job.state.value}). {recorded}."
