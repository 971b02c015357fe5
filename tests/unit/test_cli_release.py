"""`release`, `calibration` and `train --set`: faces of what `ncl_model` does, and what they say when it is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from support.data_sets import make_authentic, make_indexed
from support.tiny_model import save_experts_model, save_lively_model

from ncl_model.errors import ConfigInvalid
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import load_checkpoint, save_checkpoint
from ncl_model.release import main as release_main
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.recipe_changes import with_changes
from nclscreen.cli.app import run
from nclscreen.services import training
from nclscreen.services.training import TrainingRequest
from nclscreen.wiring import Wiring


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run's weights, and what it was trained from, as arguments."""
    folder = tmp_path_factory.mktemp("run")
    weights = save_lively_model(folder / "run.safetensors")
    provenance = {"recipe": {"val_fraction": 0.5, "seed": 1}}
    save_checkpoint(weights, dataclasses.replace(load_checkpoint(weights), provenance=provenance))
    sources = [make_indexed(folder / "labelled", count=24), make_authentic(folder / "others", count=12)]
    return [str(weights), *(part for source in sources for part in ("--data", str(source)))]


def test_a_release_is_the_one_of_the_module(
    trained: list[str], tmp_path: Path, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    assert release_main(["--run", *trained, "--out", str(there), "--accept-worse", "--name", "mine"]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert run(["release", *trained, "--out", str(here), "--accept-worse", "--name", "mine", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == expected | {"written": True, "out": str(here)}
    one, other = load_checkpoint(here), load_checkpoint(there)
    assert (one.config, one.calibration, one.provenance) == (other.config, other.calibration, other.provenance)
    assert one.fingerprint("float32") == other.fingerprint("float32") == document["fingerprint"]

    assert run(["calibration", "--weights", str(here), "--max-fpr", "0.2", "--max-fpr", "0.001", "--json"]) == 0
    promised = json.loads(capsys.readouterr().out)
    assert promised["fingerprint"] == document["fingerprint"]
    assert promised["sources"] == document["calibration_sources"]
    assert [policy["max_fpr"] for policy in promised["policies"]] == [0.2]
    assert f"threshold {promised['policies'][0]['threshold']:.4f}" in document["max_fpr"]["0.2"]
    assert "cannot be promised" in promised["refused"]["0.001"]
    assert run(["calibration", "--weights", str(here)]) == 0
    assert "max-fpr 0.2" in capsys.readouterr().out


def test_a_calibration_of_evidence_names_the_states_it_holds_for(
    tmp_path: Path, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_experts_model(tmp_path / "experts.safetensors")
    scores = np.linspace(0.1, 0.9, 99)
    fitted = Calibration.fit(scores, sources={"made-up": 99}, rule="evidence", resaved=True)
    save_checkpoint(weights, dataclasses.replace(load_checkpoint(weights), calibration=fitted.to_dict()))
    assert run(["calibration", "--weights", str(weights)]) == 0
    told = capsys.readouterr().out
    assert "99 authentic photographs, as they are or after any of eight benign operations; score rule evidence" in told


def test_what_is_doubted_is_refused_and_nothing_is_written(
    trained: list[str], tmp_path: Path, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["release", *trained, "--out", str(tmp_path / "x.safetensors")]) == 1
    told = capsys.readouterr()
    assert "REFUSED: nothing was written" in told.err
    assert "fingerprint" in told.out
    assert not (tmp_path / "x.safetensors").exists()


def test_mistakes_of_a_release_are_told_by_their_option(
    trained: list[str], tmp_path: Path, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "x.safetensors")]
    assert run(["release", *trained, *out, "--rule", "by eye"]) == 2
    assert "error: --rule: 'by eye' is not one of" in capsys.readouterr().err
    assert run(["release", str(tmp_path / "none.safetensors"), *trained[1:], *out]) == 1
    assert run(["calibration", "--weights", trained[0]]) == 1
    assert "carry no calibration" in capsys.readouterr().err
    assert run(["calibration", "--max-fpr", "1.5"]) == 2
    assert "--max-fpr" in capsys.readouterr().err


# -- train --set


def test_fields_of_a_recipe_are_set_by_their_path() -> None:
    before = TrainConfig.load("small")
    after = with_changes(
        before, ["batch_size=8", "network.width=32", "loss.omega=.03", "framing=resize", "compile=true", "size=128"]
    )
    assert (after.batch_size, after.network.width, after.loss.omega) == (8, 32, 0.03)
    assert (after.framing, after.compile, after.crop_size) == ("resize", True, 128)
    assert dataclasses.replace(
        after,
        batch_size=before.batch_size,
        network=before.network,
        loss=before.loss,
        framing=before.framing,
        compile=before.compile,
        crop_size=before.crop_size,
    ) == before  # fmt: skip
    assert with_changes(before, ["seed=1", "seed=2"]).seed == 2
    assert with_changes(before, []) is before


def test_steps_take_the_place_of_minutes() -> None:
    assert TrainConfig.load("small").minutes is not None
    after = with_changes(TrainConfig.load("small"), ["steps=100"])
    assert (after.steps, after.minutes) == (100, None)
    with pytest.raises(ConfigInvalid, match="not both"):
        with_changes(TrainConfig.load("small"), ["steps=100", "minutes=3"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("batch_sise=8", "did you mean 'batch_size'"),
        ("network.widht=32", "'network.widht'.*did you mean 'width'"),
        ("networ.width=32", "'networ'.*did you mean 'network'"),
        ("seed.width=32", "'seed'.*no fields of its own"),
        ("network=resnet18", "'network'.*mapping"),
        ("network.width", "write field=value"),
        ("=3", "write field=value"),
        ("batch_size=many", "'batch_size'.*whole number"),
        ("batch_size=", "'batch_size'.*whole number"),
    ],
)
def test_what_cannot_be_set_is_told(
    change: str, words: str, tmp_path: Path, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        with_changes(TrainConfig.load("smoke"), [change])
    assert run(["train", "smoke", "--set", change, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: --set: ")


def test_what_is_set_reaches_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wiring: Wiring) -> None:
    seen: list[TrainConfig] = []

    def plainly(request: TrainingRequest, recipe: TrainConfig, *rest: object) -> bool:
        seen.append(recipe)
        return True

    monkeypatch.setattr(training, "_plain", plainly)
    command = ["train", "smoke", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--workers", "0", "--json"]
    assert run([*command, "--set", "network.width=16", "--set", "seed=9", "--steps", "3"]) == 0
    (recipe,) = seen
    assert (recipe.network.width, recipe.seed, recipe.steps) == (16, 9, 3)
