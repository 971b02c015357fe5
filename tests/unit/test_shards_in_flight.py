"""How many shards are screened at once where nobody said: enough for every replica to have work."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nclscreen.cluster_options import decoding_limits, ray_options, shards_in_flight
from nclscreen.settings import Settings


@pytest.mark.parametrize(
    ("said", "shards"),
    [
        ({}, 2),
        ({"replicas": 4}, 8),
        ({"replicas": 1, "max_replicas": 4}, 8),
        ({"replicas": 4, "max_replicas": 2}, 8),
        ({"replica_gpus": 1}, 12),
        ({"replicas": 4, "replica_gpus": 1}, 48),
        ({"max_replicas": 8, "replica_gpus": 1}, 96),
        ({"replicas": 2, "replica_gpus": 0.5}, 12),
        ({"replicas": 3, "replica_gpus": 0.01}, 6),
        ({"replica_gpus": 2}, 12),
        ({"replicas": 4, "replica_gpus": 1, "shards_in_flight": 3}, 3),
        ({"replicas": 4, "shards_in_flight": 1}, 1),
    ],
)
def test_it_follows_from_the_replicas_unless_told(said: dict[str, float], shards: int) -> None:
    settings = Settings.model_validate(said)
    assert shards_in_flight(settings) == shards
    assert decoding_limits(settings).workers == -(-shards // settings.shards_per_worker)


def test_what_the_cluster_is_asked_for_follows_too() -> None:
    assert ray_options(Settings()).needed_cpus == 1 + 2
    assert ray_options(Settings(replicas=2, max_replicas=4)).needed_cpus == 4 + 8
    assert ray_options(Settings(replicas=2), models=2).needed_cpus == 4 + 4
    assert ray_options(Settings(replicas=2, shards_in_flight=3)).needed_cpus == 2 + 4  # whole workers


def test_the_environment_may_leave_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCLSCREEN_SHARDS_IN_FLIGHT", "")
    assert Settings().shards_in_flight is None
    monkeypatch.setenv("NCLSCREEN_SHARDS_IN_FLIGHT", "7")
    assert shards_in_flight(Settings()) == 7
    monkeypatch.setenv("NCLSCREEN_SHARDS_IN_FLIGHT", "0")
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Settings()
