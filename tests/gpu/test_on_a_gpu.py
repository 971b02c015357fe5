"""On a real GPU: `pytest tests/gpu -rs`. Skipped, with the reason, where torch finds none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.odd_images import encoded, photo

from ncl_model.imaging.decoding import DecodedImage
from ncl_model.inference.checkpoint import shipped_weights
from ncl_model.inference.predictor import Predictor

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")

#: what the same weights and image may differ by on another kind of device under one fingerprint
SAME = 1e-3


@pytest.fixture(scope="module")
def weights() -> Path:
    return shipped_weights()


@pytest.fixture(scope="module")
def on_gpu(weights: Path) -> Predictor:
    return Predictor.setup(weights, device="cuda")


@pytest.fixture(scope="module")
def images(on_gpu: Predictor) -> list[DecodedImage]:
    return [on_gpu.decode(encoded(photo(600, 400, seed=seed), "JPEG")) for seed in range(9)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_a_score_does_not_depend_on_batchmates(on_gpu: Predictor, images: list[DecodedImage], count: int) -> None:
    alone = [on_gpu.localize([image])[0] for image in images[:count]]
    together = on_gpu.localize(images[:count])
    for one, other in zip(alone, together, strict=True):
        assert one.score == other.score
        np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_the_same_twice(on_gpu: Predictor, images: list[DecodedImage]) -> None:
    first, second = ([one.score for one in on_gpu.localize(images)] for _ in range(2))
    assert first == second


def test_float32_is_one_fingerprint_with_the_cpu_because_scores_are_the_same(
    weights: Path, on_gpu: Predictor, images: list[DecodedImage]
) -> None:
    on_cpu = Predictor.setup(weights)
    assert on_cpu.fingerprint == on_gpu.fingerprint
    for one, other in zip(on_cpu.localize(images), on_gpu.localize(images), strict=True):
        assert one.score == pytest.approx(other.score, abs=SAME)
        assert one.tampered_areas == pytest.approx(other.tampered_areas, abs=SAME)


def test_bfloat16_is_a_version_of_its_own(weights: Path) -> None:
    half = Predictor.setup(weights, "bfloat16", device="cuda")
    assert half.fingerprint not in {half.checkpoint.fingerprint("bfloat16"), half.checkpoint.fingerprint("float32")}


def test_out_of_memory_costs_time_and_no_image(
    on_gpu: Predictor, images: list[DecodedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [one.score for one in on_gpu.localize(images)]
    network, refused = on_gpu._network, []

    def narrow(pixels: torch.Tensor, *given: object) -> object:
        if len(pixels) > 1:
            refused.append(torch.empty(1 << 50, device="cuda"))  # more than any GPU has
        return network(pixels, *given)

    monkeypatch.setattr(on_gpu, "_network", narrow)
    assert [one.score for one in on_gpu.localize(images)] == pytest.approx(expected, abs=SAME)
    assert refused == []
