"""Image after image of a job, each to be decided; the next ones are on the page already, and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from jobs.domain import Job, VerdictRef
from jobs.domain.access import Scope
from jobs.domain.reviews import SecondLook
from jobs.verdicts import FoundVerdict
from nclscreen.api.lists import Strict
from nclscreen.api.wired import Wired
from nclscreen.pages.desk import desk_of, keep_seat, seated
from nclscreen.pages.drawing import Drawn, Pages, address
from nclscreen.pages.review_queue import AHEAD, ReviewQueue
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.shown_verdict import shown_verdict
from nclscreen.pages.wanted import ReviewAsked
from nclscreen.services.review_leasing import Reviewer, for_reviewer, free_page, held_by_others
from nclscreen.services.reviewing import job_reviews
from nclscreen.wiring import Wiring

router = APIRouter(prefix="/jobs/{job_id}/review", route_class=PageRoute)

#: how often somebody else may be faster before his image is shown all the same
_TRIES = 5


class HoldForm(Strict):
    """What somebody looks at, and what he is about to look at: numbers with commas between."""

    ordinals: str = Field(max_length=400, pattern=r"^\d{1,18}(,\d{1,18}){0,19}$")

    @property
    def numbers(self) -> list[int]:
        return [int(number) for number in self.ordinals.split(",")]


class LeaveForm(Strict):
    """What a page says that is left: when the last lease that it knew of ends, in seconds since 1970.

    Pages of older programs say nothing.
    """

    until: float | None = Field(default=None, ge=0, allow_inf_nan=False)


@router.get("")
def get_review(job_id: str, wanted: Annotated[ReviewAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """The image at `at`, or the first; around it those that the filters give from the cursor on.

    Images that others look at are left out. Who may review is given the one he sees and the two behind it; not where
    a script of ours fetches the rest of a queue.
    """
    job = wiring.jobs.get(job_id)
    who = seated(pages)
    if not _reviews(pages) or pages.is_part:
        return _drawn(wiring, _queue(wiring, job, wanted, who), wanted, pages)
    given = _given(wiring, job, wanted, who)
    response = _drawn(wiring, given, wanted, pages, until=wiring.review_leases.until(job.id, who.holder))
    keep_seat(response, who)
    return response


@router.post("/leases")
def lease_images(job_id: str, form: Annotated[HoldForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """Keep these images of the job and no others; which of them are somebody else's."""
    job, who = wiring.jobs.get(job_id), seated(pages)
    taken = wiring.review_leases.take(job.id, form.numbers, who.holder, who.name, no_others=True)
    others = held_by_others(wiring, job.id, who.holder, [each for each in form.numbers if each not in taken])
    until = wiring.review_leases.until(job.id, who.holder)
    response = JSONResponse({"others": {str(ordinal): lease.name for ordinal, lease in others.items()}, "until": until})
    keep_seat(response, who)
    return response


@router.post("/leave")
def release_images(job_id: str, form: Annotated[LeaveForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """Nobody sits at this page any more: what it had is free.

    Not what the same desk has taken since then: a page that is loaded again may be heard of before the one it follows.
    """
    job, holder = wiring.jobs.get(job_id), desk_of(pages)
    if holder is not None:
        wiring.review_leases.release(job.id, holder, until=form.until)
    return Response(status_code=204)


def _reviews(pages: Pages) -> bool:
    return pages.caller is not None and pages.caller.may(Scope.REVIEW)


def _drawn(
    wiring: Wiring, queue: ReviewQueue, wanted: ReviewAsked, pages: Pages, *, until: float | None = None
) -> Response:
    reviews = job_reviews(wiring, queue.job.id)
    if queue.current is None:
        held = len(wiring.review_leases.of(queue.job.id))
        return pages.draw("review_done", queue=queue, reviews=reviews, held=held)
    return pages.draw(
        "review",
        queue=queue,
        job=queue.job,
        wanted=wanted,
        reviews=reviews,
        lease_s=wiring.review_leases.lease_s if _reviews(pages) else None,
        until=until,
        careful=pages.settings.careful and not wanted.clear,
    )


def _given(wiring: Wiring, job: Job, wanted: ReviewAsked, who: Reviewer) -> ReviewQueue:
    """The queue, its image and the next ones leased to who asks."""
    for _ in range(_TRIES):
        queue = _queue(wiring, job, wanted, who)
        ordinals = [item.found.verdict.ordinal for item in queue.items[queue.place : queue.place + 1 + AHEAD]]
        taken = wiring.review_leases.take(job.id, ordinals, who.holder, who.name, no_others=True)
        if not ordinals or ordinals[0] in taken or ordinals[0] == wanted.at:
            break  # else somebody was faster: look again
    return queue


def _queue(wiring: Wiring, job: Job, wanted: ReviewAsked, who: Reviewer) -> ReviewQueue:
    asked = for_reviewer(wanted.filter(wiring, job), who)
    page = free_page(wiring, asked, job.id, who.holder, wanted.limit, wanted.cursor)
    found = _with_asked_for(wiring, job, page.items, wanted.at)
    ordinals = [each.verdict.ordinal for each in found]
    said = wiring.reviews.of_images(job.id, ordinals)
    blind_for = who.name if asked.second_look is SecondLook.WANTED else None
    held = held_by_others(wiring, job.id, who.holder, ordinals)
    return ReviewQueue(
        job=job,
        items=[shown_verdict(each, said[each.verdict.ordinal], blind_for=blind_for) for each in found],
        held={ordinal: lease.name for ordinal, lease in held.items()},
        at=wanted.at,
        here=address(f"/jobs/{job.id}/review", wanted.asked, cursor=wanted.cursor),
        behind=None
        if page.next_cursor is None
        else address(f"/jobs/{job.id}/review", wanted.asked, cursor=page.next_cursor),
        gallery=address(f"/jobs/{job.id}/gallery", wanted.asked),
    )


def _with_asked_for(
    wiring: Wiring, job: Job, page: Sequence[FoundVerdict], ordinal: int | None
) -> Sequence[FoundVerdict]:
    """The image asked for comes first where the filters do not give it: it may have just been decided."""
    if ordinal is None or any(found.verdict.ordinal == ordinal for found in page):
        return page
    return (wiring.verdicts.at(VerdictRef(job_id=job.id, ordinal=ordinal)), *page)
