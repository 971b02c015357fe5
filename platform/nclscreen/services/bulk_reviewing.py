"""One decision for all images that pass a filter: counted first, each written as a review of its own, undone as one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from jobs.domain import VerdictRef
from jobs.errors import JobsError, NothingToUndo, ReviewConflict, VerdictNotFound
from jobs.verdicts import VerdictFilter
from nclscreen.services.reviewing import ReviewRequest, new_review, reviewer_name
from nclscreen.wiring import Wiring


class CountChanged(JobsError):
    """Other images pass the filter than were counted."""

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        #: images that pass it now
        self.found = found
        super().__init__(f"{found:,} images pass this filter, not {expected:,}: look again, and confirm that number")


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkReviewed:
    """What became of it."""

    #: what `undo_bulk` takes
    bulk: str
    #: images that have a new review
    written: int
    #: images that somebody has decided on meanwhile: their word stands
    passed_over: int

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {"bulk": self.bulk, "written": self.written, "passed_over": self.passed_over}


def count_matching(wiring: Wiring, wanted: VerdictFilter) -> int:
    """Images that pass the filter."""
    return sum(1 for _ in wiring.verdicts.stream(wanted))


def review_all(wiring: Wiring, wanted: VerdictFilter, request: ReviewRequest, expected_count: int) -> BulkReviewed:
    """Write one review for each image that passes, never more than were counted, each in a transaction of its own.

    What breaks off can be undone, or done again for `unreviewed` ones. Raises InvalidRequest, CountChanged.
    """
    new = new_review(request)
    if (found := count_matching(wiring, wanted)) != expected_count:
        raise CountChanged(expected_count, found)
    bulk = secrets.token_hex(8)
    written = passed_over = 0
    for verdict in wiring.verdicts.stream(wanted, expected_count):
        try:
            wiring.reviews.add_of_bulk(verdict, new, bulk)
            written += 1
        except ReviewConflict:
            passed_over += 1
    return BulkReviewed(bulk=bulk, written=written, passed_over=passed_over)


def undo_bulk(wiring: Wiring, bulk: str, reviewer: str) -> BulkReviewed:
    """Take it back wherever it still holds, by new rows. Raises InvalidRequest, NothingToUndo."""
    name = reviewer_name(reviewer)
    written = passed_over = 0
    for ref in wiring.reviews.of_bulk(bulk):
        if _undone(wiring, ref, bulk, name):
            written += 1
        else:
            passed_over += 1
    if not written:
        raise NothingToUndo(f"the bulk {bulk!r}")
    return BulkReviewed(bulk=bulk, written=written, passed_over=passed_over)


def _undone(wiring: Wiring, ref: VerdictRef, bulk: str, reviewer: str) -> bool:
    """Not where something else holds, nor where the verdict is gone or another project's."""
    try:
        wiring.reviews.undo(wiring.verdicts.at(ref), reviewer, bulk=bulk)
    except (VerdictNotFound, NothingToUndo):
        return False
    return True
