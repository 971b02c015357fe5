"""How the end of an attempt is told."""

from __future__ import annotations

import pickle

import pytest
from support.builders import entries, lease, results_of

from jobs.domain import Lease, Verdict
from jobs.errors import (
    AccessDenied,
    HeatmapsUnavailable,
    ModelFailed,
    ModelMismatch,
    ModelUnavailable,
    StorageAway,
    StorageUnavailable,
)
from jobs.ports import OutcomeKind
from jobs.screening.attempt import attempt

LEASE = lease(entries(3))


def test_a_screened_shard_is_finished() -> None:
    outcome = attempt(results_of, LEASE)
    assert (outcome.kind, outcome.lease, outcome.reason) == (OutcomeKind.FINISHED, LEASE, "")
    assert list(outcome.verdicts) == results_of(LEASE)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (ModelUnavailable("away"), OutcomeKind.MODEL_AWAY, "away"),
        (ModelMismatch("a" * 64, "b" * 64), OutcomeKind.MODEL_AWAY, "pinned to model aaaaaaaaaaaa, but bbbbbbbbbbbb"),
        (AccessDenied("s3://maps", "no"), OutcomeKind.IMPOSSIBLE, "s3://maps: no"),
        (StorageUnavailable("s3://photos", "slow"), OutcomeKind.BROKEN, "s3://photos: slow"),
        (StorageAway("s3://photos", "slow"), OutcomeKind.STORAGE_AWAY, "s3://photos: slow"),
        (HeatmapsUnavailable("s3://maps", "slow"), OutcomeKind.UNAVAILABLE, "s3://maps: slow"),
        (ModelFailed("odd"), OutcomeKind.BROKEN, "ModelFailed: odd"),
        (MemoryError(), OutcomeKind.BROKEN, "MemoryError: "),
    ],
)
def test_an_error_becomes_an_outcome(error: Exception, kind: OutcomeKind, reason: str) -> None:
    def screen(held: Lease) -> list[Verdict]:
        raise error

    outcome = attempt(screen, LEASE)
    assert outcome.kind is kind
    assert reason in outcome.reason
    assert outcome.verdicts == ()
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_an_interrupt_is_no_outcome() -> None:
    def screen(held: Lease) -> list[Verdict]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(screen, LEASE)
