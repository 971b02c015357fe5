"""The shipped weights: a run can go on from them, and they say which evidence speaks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.odd_images import encoded, photo

from ncl_model.architecture.registry import build_network
from ncl_model.inference.checkpoint import load_checkpoint, shipped_weights
from ncl_model.inference.predictor import Predictor
from ncl_model.training.recipe import FORMER_NAMES, TrainConfig
from ncl_model.training.warm_start import adopt

KEPT = shipped_weights()
#: what a release adds
RELEASED = {"statistic": "level", "evidence": None, "score_rule": "top_mean", "copy_move": None, "native_blocks": 0}


def test_they_are_of_the_recipes_network_and_a_run_can_go_on_from_them() -> None:
    network = TrainConfig.load("experts").network
    config = load_checkpoint(KEPT).config
    assert config.native_blocks > 0
    assert dataclasses.replace(config, **RELEASED).to_json() == network.to_json()  # type: ignore[arg-type]
    assert adopt(build_network(network).state_dict(), KEPT) == (), "nothing of the network is missing in them"


def test_their_recipe_is_read_also_by_the_names_that_fields_had_before() -> None:
    said = load_checkpoint(KEPT).provenance["recipe"]
    read = TrainConfig.from_dict(said)
    assert (read.batch_size, read.val_fraction) == (said["batch_size"], said["val_fraction"])
    before = {now: then for then, now in FORMER_NAMES.items()}
    formerly = {before.get(name, name): value for name, value in said.items()}
    assert {"batch", "held_out"} <= formerly.keys()
    assert TrainConfig.from_dict(formerly) == read


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_they_predict(kind: str) -> None:
    predictor = Predictor.setup(KEPT)
    (found,) = predictor.localize([predictor.decode(encoded(photo(150, 200, seed=3), kind))])
    assert 0 <= found.score <= 1
    assert found.evidence is not None
    assert len(np.unique(found.heatmap)) > 5
