"""From a file's bytes to a verdict with two experts: stored, read again, the same every time, whatever comes."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from copied_photos import copied
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.textured import jpeg_bytes, textured, through_jpeg
from support.tiny_model import save_every_evidence_model, save_lively_experts
from support.training_material import TINY, TINY_EXPERTS

from ncl_model.architecture.experts import ExpertsNetwork
from ncl_model.errors import CheckpointMismatch
from ncl_model.inference import predictor as predicting
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint
from ncl_model.inference.predictor import Localization, Predictor

#: what experts and the search for copied regions can say of a photograph
KINDS = {"pixels", "traces", "together", "copies"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_experts(tmp_path_factory.mktemp("weights") / "experts.safetensors")


@pytest.fixture(scope="module", params=["maps", "evidence"])
def model(request: pytest.FixtureRequest, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of maps and image head alone, and of every kind of evidence."""
    if request.param == "maps":
        return weights
    return save_every_evidence_model(tmp_path_factory.mktemp("weights") / "evidence.safetensors")


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.setup(model)


def png_bytes(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def copied_region(seed: int, height: int, width: int) -> np.ndarray:
    """A textured picture with a disc of it copied to another place."""
    return copied(Image.fromarray(textured(seed, height, width))).pixels


def assert_same(one: Localization, other: Localization) -> None:
    assert (one.score, one.tampered_areas) == (other.score, other.tampered_areas)
    assert one.evidence == other.evidence, "to the last bit"
    if one.evidence is not None and other.evidence is not None:
        assert one.evidence.to_dict() == other.evidence.to_dict()
    np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_weights_come_back_as_they_were_stored(weights: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(weights)
    assert loaded.config == TINY_EXPERTS
    network = loaded.build(weights)
    assert isinstance(network, ExpertsNetwork)
    assert not network.training
    state = network.state_dict()
    for name, tensor in loaded.weights.items():
        assert torch.equal(state[name], tensor.float()), name
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, Checkpoint(config=TINY_EXPERTS, weights=pack_weights(state), name="x", version="2"))
    assert load_checkpoint(again).fingerprint("float32") == loaded.fingerprint("float32")


def test_weights_of_one_architecture_are_refused_by_the_other(weights: Path) -> None:
    loaded = load_checkpoint(weights)
    joined = Checkpoint(config=TINY, weights=loaded.weights, name="x", version="1")
    with pytest.raises(CheckpointMismatch):
        joined.build("x.safetensors")


def test_fixed_and_estimated_grids_are_two_models(weights: Path) -> None:
    loaded = load_checkpoint(weights)
    fixed = dataclasses.replace(loaded, config=dataclasses.replace(TINY_EXPERTS, grid="fixed"))
    assert fixed.fingerprint("float32") != loaded.fingerprint("float32")
    image = Predictor.setup(weights).decode(png_bytes(through_jpeg(textured(1, 80, 96), 70)[3:, 5:]))
    verdicts = [Predictor(each.build("x"), each, "float32").localize([image])[0].heatmap for each in (loaded, fixed)]
    assert not np.array_equal(*verdicts)


def test_the_same_bytes_give_the_same_verdict_alone_or_among_others(model: Path, predictor: Predictor) -> None:
    files = [jpeg_bytes(textured(i, 70 + i, 90), 60 + 5 * i) for i in range(4)]
    files += [png_bytes(through_jpeg(textured(9, 90, 96), 80)[3:, 5:])]
    files += [jpeg_bytes(copied_region(11, 192, 256), 90), png_bytes(textured(5, 20, 20)), files[0]]
    images = [predictor.decode(data) for data in files]
    together = predictor.localize(images)
    assert_same(together[0], together[-1])
    other = Predictor.setup(model)
    for data, result in zip(files, together, strict=True):
        assert_same(predictor.localize([predictor.decode(data)])[0], result)
        assert_same(other.localize([other.decode(data)])[0], result)
    if predictor.config.evidence is None:
        assert [result.evidence for result in together] == [None] * len(files)
        return
    said = [result.evidence for result in together if result.evidence is not None]
    assert len(said) == len(files)
    assert set().union(*(each.scores for each in said)) == KINDS, "every kind has spoken"
    assert {reason for each in said for reason in each.untestable.items()} == {
        ("traces", "no_grid"), ("together", "no_grid"), ("copies", "too_small")
    }  # fmt: skip
    assert [bool(each.copies) for each in said] == [False] * 5 + [True, False, False], "one holds a copied region"
    assert said[5].scores["copies"] >= 0.9
    loudest = {max(each.scores, key=lambda kind: each.scores[kind]) for each in said}
    assert len(loudest) > 2, "the joint rule chooses among kinds"


def test_what_fills_the_canvas_does_not_move_the_grid(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids are looked for in the photograph alone."""
    asked: list[tuple[int, ...]] = []
    real = predicting.measure_grids
    monkeypatch.setattr(predicting, "measure_grids", lambda pixels: (asked.append(pixels.shape), real(pixels))[1])
    image = predictor.decode(jpeg_bytes(textured(3, 50, 70), 70))
    assert image.pixels.shape == (64, 96, 3)
    noisy = image.pixels.copy()
    noisy[50:], noisy[:, 70:] = 255, 0
    filled = dataclasses.replace(image, pixels=noisy)
    one, other = predictor.localize([image])[0], predictor.localize([filled])[0]
    assert asked == [(50, 70, 3)] * 2
    assert one.heatmap.shape == other.heatmap.shape == (50, 70)


def test_half_precision_is_a_model_of_its_own(model: Path, predictor: Predictor) -> None:
    half = Predictor.setup(model, "bfloat16")
    assert half.fingerprint != predictor.fingerprint
    image = predictor.decode(jpeg_bytes(textured(5, 80, 90), 70))
    one, other = half.localize([image])[0], half.localize([image])[0]
    assert_same(one, other)
    exact = predictor.localize([image])[0].heatmap.astype(int)
    assert np.abs(one.heatmap.astype(int) - exact).mean() < 20


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 40),
    turned=st.booleans(),
    kind=st.sampled_from(["noise", "flat", "saved", "black", "copied"]),
    seed=st.integers(0, 99),
)
@example(height=256, width=192, turned=True, kind="copied", seed=11)
@example(height=20, width=20, turned=False, kind="noise", seed=0)
@example(height=90, width=40, turned=False, kind="saved", seed=0)
def test_every_photograph_gets_a_verdict(
    predictor: Predictor, height: int, width: int, turned: bool, kind: str, seed: int
) -> None:
    if turned:
        height, width = width, height
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = {"flat": np.full_like(noise, seed), "black": np.zeros_like(noise)}.get(kind, noise)
    if kind == "copied":
        pixels = copied_region(seed, height, width)
    data = jpeg_bytes(pixels, 50) if kind == "saved" else png_bytes(pixels)
    image = predictor.decode(data)
    (result,) = predictor.localize([image])
    assert (result.width, result.height) == (width, height)
    assert result.heatmap.shape == (image.valid_height, image.valid_width)
    assert 0 <= result.score <= 1
    assert list(result.tampered_areas) == sorted(result.tampered_areas, reverse=True)
    answer = predictor.ask(image.pixels[None], [(image.valid_height, image.valid_width)])
    assert answer.head is not None
    assert np.isfinite(answer.maps).all()
    assert np.isfinite(answer.head).all()
    assert_same(predictor.localize([predictor.decode(data)])[0], result)
    if predictor.config.evidence is None:
        assert result.evidence is None
        return
    assert result.evidence is not None
    scores, untestable = result.evidence.scores, result.evidence.untestable
    assert scores.keys() | untestable.keys() == KINDS, "tested, or said why not"
    assert not scores.keys() & untestable.keys()
    assert all(0 <= score <= 1 for score in scores.values())
    assert result.score == np.float32(max(scores.values()))
