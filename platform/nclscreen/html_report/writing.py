"""Writing the report of a job into a folder."""

from __future__ import annotations

import time
from pathlib import Path

from jobs.domain import Job
from jobs.storage import OpenStorage
from jobs.verdicts import VerdictFilter, VerdictStore
from nclscreen.html_parts.histogram import histogram
from nclscreen.html_report.cards import CardMaker
from nclscreen.html_report.failures import failure_groups
from nclscreen.html_report.files import replacing
from nclscreen.html_report.limits import ReportLimits
from nclscreen.html_report.page import write_page
from nclscreen.html_report.summary import summarize
from nclscreen.html_report.tables import write_failed, write_flagged
from nclscreen.stored_heatmaps import ReadHeatmap


def write_report(
    out_dir: Path,
    *,
    job: Job,
    verdicts: VerdictStore,
    open_storage: OpenStorage,
    read_heatmap: ReadHeatmap | None = None,
    limits: ReportLimits | None = None,
) -> Path:
    """Write `index.html`, `flagged.csv` and `failed.csv` into `out_dir`, made if need be; returns the page's path.

    Each file appears whole or not at all, over an older one. `read_heatmap` gives a verdict's heatmap, and may raise
    StorageError or HeatmapMissing; by default it is read from the verdict's `map_uri`. A photograph that cannot be read
    any more is a row without picture. Raises OSError when the folder cannot be written.
    """
    limits = limits or ReportLimits()
    out_dir.mkdir(parents=True, exist_ok=True)
    flagged = VerdictFilter(job_id=job.id, flagged=True)
    with replacing(out_dir / "flagged.csv") as file:
        fired = write_flagged(file, verdicts.stream(flagged))
    with replacing(out_dir / "failed.csv") as file:
        write_failed(file, verdicts.stream(VerdictFilter(job_id=job.id, failed=True)))
    # a short list, without pictures: the database is not kept waiting while they are drawn
    shown = [found.verdict for found in verdicts.stream(flagged, limits.pictures)]
    now = time.time()
    page = out_dir / "index.html"
    with replacing(page) as file:
        write_page(
            file,
            summary=summarize(job, now, fired, verdicts.untestable_counts(job.id)),
            histogram=histogram(verdicts.score_histogram(job.id), job.threshold),
            cards=CardMaker(open_storage, limits, read_heatmap, job.threshold).cards(shown),
            shown=len(shown),
            failures=failure_groups(verdicts, job.id, limits.failed_rows),
            written_at=now,
        )
    return page
