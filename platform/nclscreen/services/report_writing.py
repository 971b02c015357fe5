"""The HTML report of a job, into a folder."""

from __future__ import annotations

from pathlib import Path

from jobs.domain import Job
from jobs.errors import JobsError
from nclscreen.wiring import Wiring


class ReportUnwritable(JobsError):
    """The disk does not take the report of a job."""

    def __init__(self, folder: Path, reason: str, job_id: str) -> None:
        self.folder = folder
        self.reason = reason
        self.job_id = job_id
        super().__init__(f"cannot write the report into {folder}: {reason}; the job's verdicts are kept")


def write_job_report(wiring: Wiring, job: Job, folder: Path) -> Path:
    """Write the report; gives its page. Raises ReportUnwritable."""
    from nclscreen import html_report

    try:
        return html_report.write_report(folder, job=job, verdicts=wiring.verdicts, open_storage=wiring.open_storage)
    except OSError as error:
        raise ReportUnwritable(folder, str(error.strerror or error), job.id) from error
