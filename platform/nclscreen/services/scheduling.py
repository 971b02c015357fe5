"""Schedules as people ask for them, and as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.domain.retraining import Run
from jobs.domain.schedules import Misfire, NewSchedule, Overlap, Schedule, ScheduleKind, Tick
from jobs.domain.times import instant
from jobs.preparation.corpus import names_places
from jobs.schedules.due import InvalidSchedule, next_due
from jobs.storage import parse_source
from nclscreen.services import checks
from nclscreen.services.destinations import check_receiver
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.services.ticking import screen_request
from nclscreen.wiring import Wiring

_LONGEST_NAME = 100
_SHOWN = 5


def add_schedule(
    wiring: Wiring,
    *,
    name: str,
    kind: ScheduleKind,
    cron: str,
    request: Mapping[str, Any],
    zone: str = "UTC",
    overlap: Overlap = Overlap.SKIP,
    misfire: Misfire = Misfire.ONCE,
    after_reviews: int | None = None,
) -> Schedule:
    """Check everything that can be checked now, and have it be due from now on. Raises InvalidRequest."""
    checks.short_text("name", name, _LONGEST_NAME)
    if after_reviews is not None and (after_reviews < 1 or kind is not ScheduleKind.RETRAIN):
        raise InvalidRequest("after_reviews", "is at least 1, and for retraining")
    if kind is ScheduleKind.RETRAIN:
        asked = RetrainRequest.of(request)
        asked.check()
        document = asked.document
    else:
        _check_places(wiring, screen_request(request))
        document = dict(request)
    project = {} if wiring.project is None else {"project": wiring.project.name}
    new = NewSchedule(
        name=name,
        kind=kind,
        cron=cron,
        zone=zone,
        overlap=overlap,
        misfire=misfire,
        request=document,
        after_reviews=after_reviews,
        **project,
    )
    try:
        return wiring.schedules.add(new)
    except InvalidSchedule as error:
        raise InvalidRequest(error.field, error.reason) from None


def _check_places(wiring: Wiring, request: SubmissionRequest) -> None:
    """What a key schedules is submitted by this installation: so it is held against the key's places now.

    Raises InvalidRequest.
    """
    if wiring.project is None:
        return
    if names_places(request.source):
        raise InvalidRequest("source", "a list may name other places when it is due; schedule it on the command line")
    for field, uri in (("source", request.source), ("completion_report", request.completion_report)):
        if uri is not None:
            parsed = parse_source(uri)
            if not wiring.project.places.has(parsed.container, parsed.single_key or parsed.prefix):
                raise InvalidRequest(field, f"{uri} is in no place of its project: {wiring.project.places}")
    check_receiver(wiring, request.webhook)


def retrain(wiring: Wiring, request: RetrainRequest) -> Run:
    """A run that whoever works on this database takes up. Raises InvalidRequest."""
    request.check()
    return wiring.runs.create(request.document)


def schedule_document(schedule: Schedule, now: float) -> dict[str, Any]:
    """As JSON types, with the next times at which it is due."""
    upcoming = [] if schedule.paused else next_due(schedule.cron, schedule.zone, now, _SHOWN)
    return {
        "id": schedule.id,
        "name": schedule.name,
        "kind": schedule.kind.value,
        "cron": schedule.cron,
        "zone": schedule.zone,
        "overlap": schedule.overlap.value,
        "misfire": schedule.misfire.value,
        "after_reviews": schedule.after_reviews,
        "request": dict(schedule.request),
        "project": schedule.project,
        "paused": schedule.paused,
        "created_at": instant(schedule.created_at),
        "next": [instant(moment) for moment in upcoming],
    }


def tick_document(tick: Tick) -> dict[str, Any]:
    """As JSON types."""
    return {
        "due_at": instant(tick.due_at),
        "state": tick.state.value,
        "subject": tick.subject,
        "note": tick.note,
        "made_at": instant(tick.made_at),
    }
