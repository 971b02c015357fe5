"""From what was asked for to the filters of a job."""

from __future__ import annotations

import re
import time

from jobs.domain import IMAGE_SUFFIXES, Filters
from nclscreen.quantities import moment, size_in_bytes
from nclscreen.services import checks
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.submission_request import LARGEST_SAMPLE, SubmissionRequest


def make_filters(request: SubmissionRequest, now: float | None = None) -> tuple[Filters, dict[str, str]]:
    """The filters, and those of them that are relative to `now` (seconds since the epoch), as they were written.

    `.jpg`, `jpg` and `*.jpg` mean the same. Raises InvalidRequest.
    """
    now = time.time() if now is None else now
    times: dict[str, float | None] = {}
    relative: dict[str, str] = {}
    for field in ("modified_after", "modified_before"):
        written: str | None = getattr(request, field)
        times[field], is_relative = _moment(field, written, now)
        if written is not None and is_relative:
            relative[field] = written
    sizes = {field: _size(field, getattr(request, field)) for field in ("min_size", "max_size")}
    _check_order("modified_after", times["modified_after"], times["modified_before"], "later than the latest time")
    _check_order("min_size", sizes["min_size"], sizes["max_size"], "larger than the largest size")
    checks.within("sample", request.sample, 1, LARGEST_SAMPLE)
    if request.sample is None and request.sample_seed != 0:
        raise InvalidRequest("sample_seed", "there is no sample that it could be for")
    filters = Filters(
        suffixes=_suffixes(request.suffixes),
        prefix=request.prefix and checks.text("prefix", request.prefix),
        contains=request.contains and checks.text("contains", request.contains),
        modified_after=times["modified_after"],
        modified_before=times["modified_before"],
        min_bytes=sizes["min_size"],
        max_bytes=sizes["max_size"],
        storage_classes=tuple(_storage_class(each) for each in request.storage_classes),
        include_archived=request.include_archived,
        sample=request.sample,
        sample_seed=request.sample_seed,
    )
    return filters, relative


def _moment(field: str, written: str | None, now: float) -> tuple[float | None, bool]:
    return (None, False) if written is None else checks.parsed(field, lambda: moment(written, now))


def _size(field: str, written: str | None) -> int | None:
    return None if written is None else checks.parsed(field, lambda: size_in_bytes(written))


def _check_order(field: str, low: float | None, high: float | None, words: str) -> None:
    if low is not None and high is not None and low > high:
        raise InvalidRequest(field, f"{words}: no image passes both")


def _storage_class(written: str) -> str:
    """In capitals; storages have classes of their own, so any word will do."""
    name = written.strip().upper()
    if not re.fullmatch(r"[A-Z][A-Z0-9_-]*", name):
        raise InvalidRequest("storage_classes", f"{written!r} is none; write STANDARD, STANDARD_IA, GLACIER_IR, ...")
    return name


def _suffixes(written: tuple[str, ...]) -> tuple[str, ...]:
    """Endings as the filters take them: none for every name."""
    if not written:
        return IMAGE_SUFFIXES
    if "*" in written:
        return ()
    endings = [checks.text("suffixes", suffix).strip().lower().lstrip("*").lstrip(".") for suffix in written]
    if "" in endings:
        empty = written[endings.index("")]
        raise InvalidRequest("suffixes", f"{empty!r} is no ending; write .jpg, or '*' for every name")
    return tuple(f".{ending}" for ending in endings)
