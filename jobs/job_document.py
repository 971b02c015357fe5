"""A job as a JSON document: the same on the command line, in webhooks, and wherever else it leaves the program."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs.domain import Job


def instant(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def job_document(job: Job) -> dict[str, Any]:
    """Plain JSON types."""
    counts = job.counts
    return {
        "id": job.id,
        "state": job.state.value,
        "name": job.options.name,
        "tags": list(job.options.tags),
        "priority": job.options.priority,
        "source": job.source,
        "counts": {
            "total": counts.total,
            "scored": counts.scored,
            "flagged": counts.flagged,
            "reused": counts.reused,
            "failed": counts.failed,
        },
        "ignored": job.ignored,
        "model": {"name": job.model.name, "fingerprint": job.model.fingerprint},
        "threshold": job.threshold,
        "error": job.error,
        "retry_of": job.options.retry_of,
        "report_uri": job.report_uri,
        "report_error": job.report_error,
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "finished_at": instant(job.finished_at),
    }
