"""Latencies of stages: every one is told, whatever comes of it, and a screener gives the same verdicts with them."""

from __future__ import annotations

import pytest
from support.builders import CONTAINER, Bench, entry, fill, lease, picture

from jobs.errors import ErrorCode
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.stage_times import STAGES, TimedHeatmaps, TimedScorer, timed_storages


def test_every_stage_is_told(bench: Bench) -> None:
    told: list[tuple[str, float]] = []

    def note(stage: str, took_s: float) -> None:
        told.append((stage, took_s))

    fill(bench.storage, [(f"{i}.png", picture(i)) for i in range(3)])
    held = lease([entry(f"{i}.png") for i in range(4)])
    plain = bench.screener(keep="all").screen(held)
    screener = bench.screener(
        keep="all",
        open_storage=timed_storages(bench.open, note),
        scorer=TimedScorer(bench.scorer, note),
        heatmaps=TimedHeatmaps(StoredHeatmaps(bench.maps), note),
    )
    verdicts = screener.screen(held)
    assert [each.score for each in verdicts] == [each.score for each in plain]
    assert verdicts[3].error_code is ErrorCode.NOT_FOUND
    stages = [stage for stage, _ in told]
    assert set(stages) == set(STAGES)
    assert (stages.count("fetch"), stages.count("decode"), stages.count("save")) == (4, 3, 3)
    assert all(took_s >= 0 for _, took_s in told)


def test_what_is_not_timed_is_the_storage_s_own(bench: Bench) -> None:
    storage = timed_storages(bench.open, lambda stage, took_s: pytest.fail("nothing was fetched"))(CONTAINER)
    fill(bench.storage, [("a.png", picture(1))])
    assert storage.container == CONTAINER
    assert [info.key for info in storage.list_objects()] == ["a.png"]
