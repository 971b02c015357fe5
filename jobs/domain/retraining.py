"""A run of retraining: a state machine of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jobs.domain.ids import Fingerprint


class RunState(StrEnum):
    """Where a run is. Each step may be begun again: what it wrote is found, and not made twice."""

    #: nobody has begun yet
    QUEUED = "queued"
    #: reviewed photographs are gathered and frozen
    SNAPSHOT = "snapshot"
    TRAINING = "training"
    #: score rule, logit shift and calibration are chosen on what it was not trained on
    RELEASE = "release"
    #: champion and challenger are measured on the same photographs
    JUDGING = "judging"
    #: the version is registered, and becomes champion
    PROMOTION = "promotion"
    #: it is champion, or was
    PROMOTED = "promoted"
    #: good enough, registered, and left for a person to promote
    ACCEPTED = "accepted"
    #: the gate refused it; the champion stays
    REFUSED = "refused"
    #: it could not be done; the champion stays
    FAILED = "failed"
    CANCELLED = "cancelled"


#: what comes after what
STEPS = (RunState.SNAPSHOT, RunState.TRAINING, RunState.RELEASE, RunState.JUDGING, RunState.PROMOTION)
#: nothing comes after these
OVER = frozenset({RunState.PROMOTED, RunState.ACCEPTED, RunState.REFUSED, RunState.FAILED, RunState.CANCELLED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run as it stands. Times are seconds since the epoch."""

    id: str
    state: RunState
    schedule_id: str | None
    #: what was asked for: plain JSON types, see `nclscreen.services.retraining.RetrainRequest`
    request: Mapping[str, Any]
    #: fingerprint of the champion that it began with
    parent: Fingerprint | None
    #: sha256 of what it is trained on, and what that is
    snapshot: str | None
    contents: Mapping[str, Any] | None
    #: of the version that came of it
    fingerprint: Fingerprint | None
    #: figures, rules, and what was decided by them
    decision: Mapping[str, Any] | None
    error: str | None
    #: somebody asked for its end
    cancelled: bool
    created_at: float
    started_at: float | None
    finished_at: float | None
