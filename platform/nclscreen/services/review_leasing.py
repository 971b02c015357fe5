"""Images that are given to people to be reviewed, no image to two of them at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.domain import JobId
from jobs.domain.pages import Page
from jobs.domain.reviews import ReviewLease, SecondLook
from jobs.verdicts import FoundVerdict, VerdictFilter
from nclscreen.wiring import Wiring

#: images looked at for free ones at once
_LOOKED_AT = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewer:
    """Somebody who is given images."""

    #: of one desk: a browser, or a program by its key
    holder: str
    name: str


def lease_next(wiring: Wiring, wanted: VerdictFilter, job_id: JobId, who: Reviewer, count: int) -> list[FoundVerdict]:
    """The first images of a queue that nobody else has, his for the time of a lease; those he has among them.

    `wanted`: images of that job.
    """
    wanted = for_reviewer(wanted, who)
    given: dict[int, FoundVerdict] = {}
    cursor: str | None = None
    while len(given) < count:
        page = free_page(wiring, wanted, job_id, who.holder, _LOOKED_AT, cursor)
        some = [found for found in page.items if found.verdict.ordinal not in given][: count - len(given)]
        taken = wiring.review_leases.take(job_id, [found.verdict.ordinal for found in some], who.holder, who.name)
        given |= {found.verdict.ordinal: found for found in some if found.verdict.ordinal in taken}
        if len(taken) < len(some):
            continue  # somebody was faster: look again
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    return list(given.values())


def for_reviewer(wanted: VerdictFilter, who: Reviewer) -> VerdictFilter:
    """The queue of this person: nobody takes a second look at what he has decided on himself."""
    return replace(wanted, not_by=who.name) if wanted.second_look is SecondLook.WANTED else wanted


def free_page(
    wiring: Wiring, wanted: VerdictFilter, job_id: JobId, holder: str, limit: int, cursor: str | None = None
) -> Page[FoundVerdict]:
    """A page of a queue without the images that others have; the first that has any, or an empty one at the end."""
    while True:
        page = wiring.verdicts.page(wanted, limit, cursor)
        taken = held_by_others(wiring, job_id, holder, [found.verdict.ordinal for found in page.items])
        free = tuple(found for found in page.items if found.verdict.ordinal not in taken)
        if free or page.next_cursor is None:
            return Page(items=free, next_cursor=page.next_cursor)
        cursor = page.next_cursor


def held_by_others(wiring: Wiring, job_id: JobId, holder: str | None, ordinals: list[int]) -> dict[int, ReviewLease]:
    """Which of these images somebody else looks at."""
    found = wiring.review_leases.of(job_id, ordinals)
    return {ordinal: lease for ordinal, lease in found.items() if lease.holder != holder}
