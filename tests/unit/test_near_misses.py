"""Heatmaps of near misses: a stated share of authentic photographs, the highest scores first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from support.scene import Scene

from ncl_model.inference.calibration import Calibration
from nclscreen.catalog import InstalledModel
from nclscreen.services.policies import heatmaps_from

AUTHENTIC = np.linspace(0, 0.9, 1000)


def model(*, calibrated: bool = True) -> InstalledModel:
    fitted = Calibration.fit(AUTHENTIC, sources={"made up": AUTHENTIC.size}, rule="any") if calibrated else None
    return cast(InstalledModel, SimpleNamespace(calibration=fitted))


@pytest.mark.parametrize(("threshold", "share"), [(0.85, 0.05), (0.85, 0.2), (0.95, 0.01), (0.3, 0.25)])
def test_as_many_authentic_photographs_are_near_misses_as_was_said(threshold: float, share: float) -> None:
    near = heatmaps_from(model(), threshold, share)
    assert near is not None
    assert near < threshold
    kept = ((near <= AUTHENTIC) & (threshold > AUTHENTIC)).mean()
    assert share - 0.003 <= kept <= share + 0.001


def test_none_where_none_were_asked_for_or_nobody_knows() -> None:
    assert heatmaps_from(model(), 0.85, 0.0) is None
    assert heatmaps_from(model(calibrated=False), 0.85, 0.05) is None
    assert heatmaps_from(model(), 0.0, 0.05) is None  # all are flagged
    assert heatmaps_from(model(), 0.5, 1.0) == 0.0  # all are kept


def test_heatmaps_of_near_misses_are_kept_and_no_others() -> None:
    scene = Scene(12, keep="flagged")
    scores = {verdict.key: verdict.score or 0 for verdict in scene.screen()}
    below = sorted(score for score in scores.values() if score < 0.5)
    assert len(below) > 2
    verdicts = scene.screen(heatmaps_from=below[-2])
    kept = {verdict.key for verdict in verdicts if verdict.map_uri}
    assert kept == {key for key, score in scores.items() if score >= below[-2]}
    assert {verdict.key for verdict in verdicts if verdict.flagged} == {k for k, s in scores.items() if s >= 0.5}


def test_a_known_near_miss_without_a_heatmap_is_scored_once_more_for_it() -> None:
    scene = Scene(12, keep="flagged")
    first = scene.screen()
    nearly = max((verdict for verdict in first if not verdict.flagged), key=lambda verdict: verdict.score or 0)
    again = {each.key: each for each in scene.screen(known=tuple(first), heatmaps_from=nearly.score)}
    assert again[nearly.key].map_uri is not None
    assert not again[nearly.key].reused
    others = [verdict for verdict in first if verdict.key != nearly.key]
    assert all(again[verdict.key].reused for verdict in others)


def test_where_no_heatmaps_are_wanted_none_of_near_misses_is_kept() -> None:
    scene = Scene(12, keep="none")
    assert not any(verdict.map_uri for verdict in scene.screen(heatmaps_from=0.0))
