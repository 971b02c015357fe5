"""One decision for all images that pass a filter: counted first, each written as a review of its own, undone as one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jobs.domain import VerdictRef
from jobs.errors import JobsError, NothingToUndo, VerdictNotFound
from jobs.verdicts import FoundVerdict, VerdictFilter
from nclscreen.services.reviewing import ReviewRequest, new_review, reviewer_name
from nclscreen.wiring import Wiring

#: images whose reviews are written in one transaction
_CHUNK = 500


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
    """Write one review for each image that passes, never more than were counted, some hundred in a transaction.

    What breaks off can be undone, or done again for `unreviewed` ones. Raises InvalidRequest, CountChanged.
    """
    new = new_review(request)
    if (found := count_matching(wiring, wanted)) != expected_count:
        raise CountChanged(expected_count, found)
    bulk = secrets.token_hex(8)
    written = asked = 0
    # the filter may give what is decided on no more: the list is walked by places, so nothing is skipped for that
    for chunk in _in_chunks(wiring.verdicts.stream(wanted, expected_count)):
        asked += len(chunk)
        written += wiring.reviews.add_of_bulk(chunk, new, bulk)
    return BulkReviewed(bulk=bulk, written=written, passed_over=asked - written)


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


def _in_chunks(found: Iterable[FoundVerdict]) -> Iterator[list[FoundVerdict]]:
    iterator = iter(found)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
