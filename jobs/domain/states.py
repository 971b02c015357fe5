"""The state machine of jobs and shards, in one place and free of everything else.

preparing -> [awaiting_confirmation] -> ready -> running -> completing -> completed
preparing <-> paused
ready -> pausing
running <-> pausing -> paused -> running
pausing -> completing
every live state -> cancelling -> cancelled
every live state -> failing -> failed
completed -> deleting
cancelled -> deleting
failed -> deleting

A state in brackets may be passed over. Live is what is neither over nor about to end.
"""

from __future__ import annotations

from enum import StrEnum

from jobs.errors import IllegalTransition


class JobState(StrEnum):
    """Where a job is in its life."""

    PREPARING = "preparing"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    READY = "ready"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    COMPLETING = "completing"
    COMPLETED = "completed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILING = "failing"
    FAILED = "failed"
    DELETING = "deleting"


class ShardState(StrEnum):
    """Where a shard is: `failed` is set aside after its last attempt, `cancelled` left over when its job ended."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = JobState
_ENDING = frozenset({_S.CANCELLING, _S.FAILING})

#: legal transitions: from -> to
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.PREPARING: frozenset({_S.AWAITING_CONFIRMATION, _S.READY, _S.PAUSED}) | _ENDING,
    _S.AWAITING_CONFIRMATION: frozenset({_S.READY}) | _ENDING,
    _S.READY: frozenset({_S.RUNNING, _S.PAUSING}) | _ENDING,
    _S.RUNNING: frozenset({_S.PAUSING, _S.COMPLETING}) | _ENDING,
    _S.PAUSING: frozenset({_S.PAUSED, _S.RUNNING, _S.COMPLETING}) | _ENDING,
    _S.PAUSED: frozenset({_S.PREPARING, _S.RUNNING}) | _ENDING,
    _S.COMPLETING: frozenset({_S.COMPLETED}) | _ENDING,
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.FAILING: frozenset({_S.FAILED}),
    _S.COMPLETED: frozenset({_S.DELETING}),
    _S.CANCELLED: frozenset({_S.DELETING}),
    _S.FAILED: frozenset({_S.DELETING}),
    _S.DELETING: frozenset(),
}

#: a job in one of these is over: nobody works on it any more
FINAL = frozenset({_S.COMPLETED, _S.CANCELLED, _S.FAILED, _S.DELETING})
#: shards of a job in one of these may be claimed
CLAIMABLE = frozenset({_S.READY, _S.RUNNING})
#: a late result of a leased shard is still recorded in these
RECORDING = frozenset({_S.READY, _S.RUNNING, _S.PAUSING})
#: a person who was to be asked has agreed, and the job was not stopped since
CONFIRMED = frozenset({_S.READY, _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.COMPLETING, _S.COMPLETED})


def check_transition(current: JobState, wanted: JobState) -> None:
    """Raise IllegalTransition unless a job may go from `current` to `wanted`."""
    if wanted not in TRANSITIONS[current]:
        raise IllegalTransition(current, wanted)


def settled(current: JobState, *, any_queued: bool, any_leased: bool) -> JobState:
    """The state a job is in once its shards are looked at.

    A running job with no shard left is completing; a job asked to stop has stopped when nobody holds a shard of it.
    """
    if current in (_S.RUNNING, _S.PAUSING) and not any_queued and not any_leased:
        return _S.COMPLETING
    if any_leased:
        return current
    return {_S.PAUSING: _S.PAUSED, _S.CANCELLING: _S.CANCELLED, _S.FAILING: _S.FAILED}.get(current, current)
