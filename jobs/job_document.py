"""A job as a JSON document: the same on the command line, in webhooks, and wherever else it leaves the program."""

from __future__ import annotations

from typing import Any

from jobs.domain import Filters, Job
from jobs.domain.times import instant
from jobs.masking import masked


def job_document(job: Job) -> dict[str, Any]:
    """Plain JSON types."""
    counts, options, found = job.counts, job.options, job.found
    return {
        "id": job.id,
        "state": job.state.value,
        "name": options.name,
        "tags": list(options.tags),
        "priority": options.priority,
        "source": masked(job.source),
        "filters": _filters(job.filters),
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
        "policy": job.policy,
        "heatmaps_from": job.threshold if job.heatmaps_from is None else job.heatmaps_from,
        "reflagging": None if job.reflag_to is None else {"threshold": job.reflag_to},
        "verdicts_removed_at": instant(job.verdicts_removed_at),
        "found": {
            "seen": found.seen,
            "bytes": found.bytes,
            "unsized": found.unsized,
            "bad_lines": found.bad_lines,
        },
        "options": {
            "confirm": options.confirm,
            "rescore": options.rescore,
            "trust_etags": options.trust_etags,
            "allow_outside": options.allow_outside,
            "skip_bad_lines": options.skip_bad_lines,
            "case_from": options.case_from,
            "max_failures": options.failure_threshold.ratio,
            "min_sample": options.failure_threshold.sample,
            "webhook": options.webhook and masked(options.webhook),
            "completion_report": options.report,
        },
        "error": job.error and masked(job.error),
        "retry_of": options.retry_of,
        "retry_images": options.retry_images.value if options.retry_of else None,
        "report_uri": job.report_uri,
        "report_error": job.report_error and masked(job.report_error),
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "finished_at": instant(job.finished_at),
    }


def _filters(filters: Filters) -> dict[str, Any]:
    return {
        "suffixes": list(filters.suffixes),
        "prefix": filters.prefix,
        "contains": filters.contains,
        "modified_after": instant(filters.modified_after),
        "modified_before": instant(filters.modified_before),
        "min_bytes": filters.min_bytes,
        "max_bytes": filters.max_bytes,
        "storage_classes": list(filters.storage_classes),
        "include_archived": filters.include_archived,
        "sample": filters.sample,
        "sample_seed": filters.sample_seed,
    }
