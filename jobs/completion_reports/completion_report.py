"""The completion report of a job: written to the object storage when the job ends, whole, and the same however often.

    PREFIX/job-ID/results/succeeded-00001.csv ...
    PREFIX/job-ID/results/failed-00001.csv ...
    PREFIX/job-ID/cases.csv                    one row for each case, where the job has any
    PREFIX/job-ID/manifest.json                last, so that who finds it finds everything it names

Names and contents follow from the verdicts alone: whoever takes over from a writer that was killed writes the same.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from jobs.completion_reports.cases_file import CasesFile, cases_file
from jobs.completion_reports.report_queue import ReportClaim, ReportQueue
from jobs.completion_reports.report_rows import FORMAT, PART_BYTES, SCHEMA, ResultsFile, ResultsPart
from jobs.domain import ImageKey, Job, JobId, Work, WorkKind
from jobs.domain.states import JobState
from jobs.domain.times import instant
from jobs.errors import InvalidSource, StorageError, WorkLost
from jobs.leased_work.held import Hold, WorkStopped
from jobs.lifecycle.job_store import JobStore
from jobs.masking import masked
from jobs.sql.errors import DATABASE_AWAY
from jobs.storage import ObjectStorage, OpenStorage, parse_source
from jobs.verdicts import VerdictStore

logger = logging.getLogger(__name__)

#: reports that are written at once: one whose storage hangs does not hold up the others
REPORTS_AT_ONCE = 2


class ReportWriter:
    """Writes completion reports; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.COMPLETION_REPORT

    def __init__(
        self,
        *,
        store: JobStore,
        queue: ReportQueue,
        verdicts: VerdictStore,
        open_storage: OpenStorage,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._store = store
        self._queue = queue
        self._verdicts = verdicts
        self._open_storage = open_storage
        self._part_bytes = part_bytes

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Write one report. Raises WorkStopped, WorkLost, or one of DATABASE_AWAY."""
        claim = self._queue.begin(work)
        try:
            uri = self._write(claim, hold, stop)
        except (WorkStopped, WorkLost, *DATABASE_AWAY):
            raise
        except StorageError as error:
            logger.warning("the report of job %s cannot be written: %s", claim.job.id, error)
            if error.transient:
                self._queue.delay(claim, str(error))
            else:
                self._queue.give_up(work, str(error))
        except Exception as error:
            logger.exception("the report of job %s cannot be written", claim.job.id)
            self._queue.give_up(work, str(error) if isinstance(error, InvalidSource) else repr(error))
        else:
            self._queue.written(claim, uri)
        self._close(claim.job.id)

    def give_up(self, work: Work, why: str) -> None:
        """Nobody could write it; the job goes on without it."""
        self._queue.give_up(work, why)
        self._close(JobId(work.subject))

    def _close(self, job_id: JobId) -> None:
        if not self._queue.get(job_id).report_due:
            self._store.complete(job_id)  # it waited for this, if it was to be completed

    def _write(self, claim: ReportClaim, hold: Hold, stop: threading.Event) -> str:
        job = claim.job
        place = _Place(self._open_storage, job)
        entries = []
        parts = {status: ResultsPart(status, self._part_bytes) for status in ("succeeded", "failed")}
        for batch in self._verdicts.batches(job.id):
            hold.check(stop)
            for verdict in batch:
                full = parts["succeeded" if verdict.error_code is None else "failed"].add(verdict)
                if full is not None:
                    entries.append(place.write(full))
                    hold.check(stop)
        entries += [place.write(rest) for part in parts.values() if (rest := part.close()) is not None]
        hold.check(stop)
        cases = place.write_cases(cases_file(self._verdicts.all_cases(job.id)))
        hold.check(stop)
        self._queue.check(claim)  # a job that was cancelled meanwhile has another end to report
        entries.sort(key=lambda entry: (entry["TaskExecutionStatus"] != "succeeded", entry["Key"]))
        return place.write_manifest(manifest(job, claim.due_at, entries, cases))


def manifest(
    job: Job, due_at: float, entries: list[dict[str, Any]], cases: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The manifest's document: the fields of S3 Batch Operations, and what is ours under `Job`."""
    created = instant(due_at).replace("+00:00", "Z")
    state = JobState.COMPLETED if job.state is JobState.COMPLETING else job.state
    return {
        "Format": FORMAT,
        "ReportCreationDate": created,
        "Results": entries,
        "ReportSchema": SCHEMA,
        "Job": {
            "Id": job.id,
            "State": state.value,
            "Source": masked(job.source),
            "Model": {"Name": job.model.name, "Fingerprint": job.model.fingerprint},
            "Threshold": job.threshold,
            "Counts": {
                "Total": job.counts.total,
                "Scored": job.counts.scored,
                "Flagged": job.counts.flagged,
                "Reused": job.counts.reused,
                "Failed": job.counts.failed,
            },
            "Error": job.error and masked(job.error),
            **({} if cases is None else {"Cases": cases}),
        },
    }


class _Place:
    """Where the report goes."""

    def __init__(self, open_storage: OpenStorage, job: Job) -> None:
        """Raises InvalidSource for a place that is none."""
        parsed = parse_source(job.options.report or "")
        if parsed.single_key is not None:
            raise InvalidSource(job.options.report or "", "a report needs a folder or s3://bucket/prefix, not a file")
        self._storage: ObjectStorage = open_storage(parsed.container)
        prefix = parsed.prefix.strip("/")
        self._folder = f"{prefix}/job-{job.id}" if prefix else f"job-{job.id}"

    def write(self, results: ResultsFile) -> dict[str, Any]:
        """Write one results file; gives its entry in the manifest."""
        key = f"{self._folder}/{results.name}"
        self._storage.write(ImageKey(key), results.data, content_type="text/csv")
        return results.entry(self._storage.container.removeprefix("s3://"), key)

    def write_cases(self, found: CasesFile) -> dict[str, Any] | None:
        """Write the list of cases, where there are any; gives what the manifest says of it."""
        if not found.rows:
            return None
        key = f"{self._folder}/cases.csv"
        self._storage.write(ImageKey(key), found.data, content_type="text/csv")
        return {"Key": key, "MD5Checksum": found.checksum, "Count": found.rows, "Flagged": found.flagged}

    def write_manifest(self, document: dict[str, Any]) -> str:
        """Gives its URI."""
        data = json.dumps(document, indent=2).encode()
        return self._storage.write(ImageKey(f"{self._folder}/manifest.json"), data, content_type="application/json")
