"""Between rows and records: the only place that knows both."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Row

from jobs.domain import (
    Container,
    Counts,
    FailureThreshold,
    Filters,
    Fingerprint,
    ImageKey,
    Job,
    JobId,
    JobOptions,
    ModelRef,
    Preparing,
    RetryImages,
    Verdict,
)
from jobs.domain.access import ProjectName
from jobs.domain.places import Places
from jobs.domain.states import JobState
from jobs.errors import ErrorCode
from jobs.sql.database import epoch_now
from jobs.stored_text import storable
from ncl_model.inference.scoring import AREA_CUTOFFS

#: gives the SQL expression of "now"; tests add an offset instead of sleeping
Clock = Callable[[], ColumnElement[float]]

#: position of probability 0.5 among the cut-offs: the field's fixed pixel threshold
HALF = min(range(len(AREA_CUTOFFS)), key=lambda i: abs(AREA_CUTOFFS[i] - 0.5))
#: as what a share of 1 is kept
FULL_AREA = 65535


def database_clock() -> ColumnElement[float]:
    return epoch_now()


def filters_to_json(filters: Filters) -> dict[str, Any]:
    """What older programs did not know is left out where it was not asked for: tokens outlive an upgrade."""
    newer = {"storage_classes": list(filters.storage_classes), "include_archived": filters.include_archived}
    return {
        **{name: value for name, value in newer.items() if value},
        "suffixes": list(filters.suffixes),
        "contains": filters.contains,
        "prefix": filters.prefix,
        "modified_after": filters.modified_after,
        "modified_before": filters.modified_before,
        "min_bytes": filters.min_bytes,
        "max_bytes": filters.max_bytes,
        "sample": filters.sample,
        "sample_seed": filters.sample_seed,
    }


def filters_from_json(document: dict[str, Any]) -> Filters:
    lists = {name: tuple(document.get(name, ())) for name in ("suffixes", "storage_classes")}
    return Filters(**{**document, **lists})


def options_to_row(options: JobOptions) -> dict[str, Any]:
    return {
        "name": options.name,
        "tags": list(options.tags),
        "priority": options.priority,
        "confirm": options.confirm,
        "rescore": options.rescore,
        "trust_etags": options.trust_etags,
        "allow_outside": options.allow_outside,
        "failure_ratio": options.failure_threshold.ratio,
        "failure_sample": options.failure_threshold.sample,
        "webhook": options.webhook,
        "report_prefix": options.report,
        "retry_of": options.retry_of,
        "retry_images": None if options.retry_images is RetryImages.FAILED else options.retry_images.value,
        "retry_codes": [code.value for code in options.retry_codes] or None,
        "skip_bad_lines": options.skip_bad_lines,
        "case_from": options.case_from,
        "places": None if options.places is None else _beginnings(options.places),
    }


def _options_from_row(row: Row[Any]) -> JobOptions:
    return JobOptions(
        name=row.name,
        tags=tuple(row.tags or ()),
        priority=row.priority,
        confirm=bool(row.confirm),
        rescore=bool(row.rescore),
        trust_etags=bool(row.trust_etags),
        allow_outside=bool(row.allow_outside),
        failure_threshold=FailureThreshold(ratio=row.failure_ratio, sample=row.failure_sample),
        webhook=row.webhook,
        report=row.report_prefix,
        retry_of=row.retry_of,
        retry_images=RetryImages(row.retry_images or RetryImages.FAILED),
        retry_codes=tuple(ErrorCode(code) for code in row.retry_codes or ()),
        skip_bad_lines=bool(row.skip_bad_lines),
        case_from=row.case_from,
        places=None if row.places is None else Places(row.places["begin"] and tuple(row.places["begin"])),
    )


def _beginnings(places: Places) -> dict[str, Any]:
    return {"begin": places.beginnings and list(places.beginnings)}


def job_from_row(row: Row[Any]) -> Job:
    return Job(
        id=JobId(row.id),
        state=JobState(row.state),
        source=row.source,
        filters=filters_from_json(row.filters),
        model=ModelRef(name=row.model_name, fingerprint=Fingerprint(row.model_fingerprint)),
        threshold=row.threshold,
        project=ProjectName(row.project),
        policy=row.policy,
        heatmaps_from=row.heatmaps_from,
        reflag_to=row.reflag_to,
        verdicts_removed_at=row.verdicts_removed_at,
        options=_options_from_row(row),
        counts=Counts(total=row.total, scored=row.scored, flagged=row.flagged, reused=row.reused, failed=row.failed),
        found=Preparing(seen=row.seen, bytes=row.bytes, unsized=row.unsized, bad_lines=row.bad_lines),
        preparation_error=row.preparation_error,
        report_uri=row.report_uri,
        report_due=row.report_due_at is not None,
        report_error=row.report_error,
        ignored=row.ignored,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def hash_key(key: str) -> str:
    """32 hex digits that stand for a key in the index, whatever its length."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=64)
def model_key(fingerprint: Fingerprint) -> int:
    """A signed number of 64 bits that stands for a fingerprint in the index: eight bytes a row instead of 64."""
    return int.from_bytes(hashlib.sha256(fingerprint.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)


def pack_areas(areas: Sequence[Sequence[float]]) -> list[bytes]:
    """Those of many images, each with as many cut-offs: little-endian, 65535 is all of the image."""
    packed = np.rint(np.asarray(areas, dtype=np.float64) * FULL_AREA).astype("<u2")
    return [row.tobytes() for row in packed]


def unpack_areas(packed: bytes) -> tuple[float, ...]:
    return tuple(value / FULL_AREA for value in struct.unpack(f"<{len(packed) // 2}H", packed))


def verdicts_to_rows(job_id: JobId, results: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Rows of verdicts; many at once, since areas are packed faster so."""
    packed = iter(pack_areas([verdict.tampered_areas for verdict in results if verdict.tampered_areas]))
    return [_row_of(job_id, verdict, next(packed) if verdict.tampered_areas else None) for verdict in results]


def _row_of(job_id: JobId, verdict: Verdict, areas: bytes | None) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "ordinal": verdict.ordinal,
        "container": verdict.container,
        "key": verdict.key,
        "key_hash": hash_key(verdict.key),
        "score": verdict.score,
        "flagged": verdict.flagged,
        "reused": verdict.reused,
        "tampered_area": tampered_area(verdict),
        "tampered_areas": areas,
        "evidence": None if verdict.evidence is None else json.dumps(verdict.evidence, separators=(",", ":")),
        "signals": None if verdict.signals is None else json.dumps(verdict.signals, separators=(",", ":")),
        "map_uri": verdict.map_uri,
        "width": verdict.width,
        "height": verdict.height,
        "sha256": verdict.sha256,
        "etag": verdict.etag,
        "version_id": verdict.version_id,
        "size": verdict.size,
        "error_code": verdict.error_code.value if verdict.error_code else None,
        "error_message": storable(verdict.error_message),
        "model_key": model_key(verdict.fingerprint),
        "case_name": verdict.case,
    }


def verdict_from_row(row: Row[Any]) -> Verdict:
    """A verdict from a row of `verdicts` joined with its job's `model_fingerprint`."""
    return Verdict(
        ordinal=row.ordinal,
        container=Container(row.container),
        key=ImageKey(row.key),
        score=row.score,
        flagged=bool(row.flagged),
        reused=bool(row.reused),
        tampered_areas=unpack_areas(row.tampered_areas) if row.tampered_areas else (),
        evidence=json.loads(row.evidence) if row.evidence else None,
        signals=json.loads(row.signals) if row.signals else None,
        map_uri=row.map_uri,
        width=row.width,
        height=row.height,
        sha256=row.sha256,
        etag=row.etag,
        version_id=row.version_id,
        size=row.size,
        fingerprint=Fingerprint(row.model_fingerprint),
        error_code=ErrorCode(row.error_code) if row.error_code else None,
        error_message=row.error_message,
        case=row.case_name,
    )


def tampered_area(verdict: Verdict) -> float | None:
    """Share of the image with probability at least 0.5, in [0, 1]; None without a score."""
    return verdict.tampered_areas[HALF] if verdict.tampered_areas else None
