"""A release of experts: the rule of evidence is fitted on authentic photographs, each in its worst benign state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.data_sets import make_authentic, make_indexed
from support.training_material import TINY_EXPERTS

from ncl_model.architecture.registry import build_network
from ncl_model.data.datasets import read_source
from ncl_model.evaluation.survey import Part
from ncl_model.evaluation.worst_state import worst_states
from ncl_model.imaging.benign import BENIGN
from ncl_model.imaging.decoding import decode_photo
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.release import main as release_main

PHOTOGRAPHS = 110


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = pack_weights(build_network(TINY_EXPERTS).state_dict())
    recipe = {"recipe": {"held_out": 0.5, "seed": 1}}
    save_checkpoint(path, Checkpoint(config=TINY_EXPERTS, weights=state, name="tiny", version="0", provenance=recipe))
    return path


@pytest.fixture(scope="module")
def shipped(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    labelled = make_indexed(folder / "labelled", count=24)
    more = make_authentic(folder / "more", count=PHOTOGRAPHS, seed=300)
    out = folder / "shipped.safetensors"
    arguments = ["--run", str(run), "--data", str(labelled), "--authentic", str(more), "--out", str(out)]
    assert release_main([*arguments, "--version", "1", "--accept-worse"]) == 0
    return out


def test_the_rule_is_in_the_config_and_the_promise_in_the_file(shipped: Path) -> None:
    checkpoint = load_checkpoint(shipped)
    assert (checkpoint.config.score_rule, checkpoint.version) == ("evidence", "1")
    assert checkpoint.config.copy_move is not None
    assert checkpoint.config.evidence is not None
    assert {"pixels", "traces", "together"} <= set(checkpoint.config.evidence.scales)
    threshold = checkpoint.metrics["suggested_threshold"]["fpr_0.05"]
    assert 0.9 < threshold <= 1, "a score of 0.95 is what one in twenty reaches"
    states = checkpoint.provenance["chosen_on_validation"]["worst_states"]
    assert set(states["pixels"]) <= {"as it is", *(operation.name for operation in BENIGN)}


def test_a_promise_of_the_shipped_file_names_its_states(shipped: Path) -> None:
    calibration = Calibration.from_dict(load_checkpoint(shipped).calibration)
    assert (calibration.rule, calibration.resaved) == ("evidence", True)
    assert "as they are or after any of eight benign operations" in str(calibration.policy(0.05))


def test_verdicts_of_the_shipped_file_say_what_spoke(shipped: Path, tmp_path: Path) -> None:
    predictor = Predictor.setup(shipped)
    (sample,) = read_source(make_authentic(tmp_path / "one", count=1, seed=9))
    (found,) = predictor.localize([predictor.decode(sample.image.read_bytes())])
    assert found.evidence is not None
    assert found.score == pytest.approx(max(found.evidence.scores.values()))
    assert json.loads(json.dumps(found.evidence.to_dict()))["scores"].keys() == found.evidence.scores.keys()


def test_a_photograph_counts_with_the_largest_statistic_of_its_nine_states(run: Path, tmp_path: Path) -> None:
    folder = make_authentic(tmp_path / "few", count=2, seed=20)
    predictor = Predictor.setup(run)
    found = worst_states(predictor, [Part(name="few", samples=read_source(folder))])
    for sample, worst in zip(read_source(folder), found.statistics, strict=True):
        data = sample.image.read_bytes()
        files = [data, *(operation.file(decode_photo(data)) for operation in BENIGN)]
        images = [predictor.decode(file) for file in files]
        sizes = [(image.valid_height, image.valid_width) for image in images]
        seen = [
            predictor.judge(i.pixels[None], [s])[0].statistics["pixels"] for i, s in zip(images, sizes, strict=True)
        ]
        assert worst["pixels"] == pytest.approx(max(seen), abs=1e-5)
        assert not np.isclose(max(seen), min(seen))
    assert found.sources == ["few", "few"]
    assert sum(found.states["pixels"].values()) == 2
