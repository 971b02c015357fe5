"""Scores, areas, heatmaps: from a canvas to what a verdict keeps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import NclNetwork
from ncl_model.inference.checkpoint import Checkpoint, pack_weights, save_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.scoring import AREA_CUTOFFS, image_score, tampered_areas, to_heatmap

CONFIG = NclConfig(
    backbone="resnet18",
    width=8,
    output_stride=16,
    residual="srm",
    aspp_channels=8,
    decoder_channels=32,
    geometry="fit",
    input_size=96,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = NclNetwork(CONFIG)
        for head in network.decoder.heads():
            torch.nn.init.normal_(head.weight, std=1.0)  # maps with some life in them
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    packed = pack_weights(network.state_dict())
    save_checkpoint(path, Checkpoint(config=CONFIG, weights=packed, name="tiny", version="1"))
    return path


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor.setup(weights)


def picture(height: int, width: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_probabilities_are_float32_between_0_and_1(predictor: Predictor) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    maps = predictor.predict(batch)
    assert maps.shape == (3, 64, 96)
    assert maps.dtype == np.float32
    assert 0 <= maps.min() < maps.max() <= 1


def test_a_result_does_not_depend_on_batchmates(predictor: Predictor) -> None:
    images = [predictor.decode(picture(70 + i, 90, i)) for i in range(5)]
    together = predictor.localize(images)
    for image, result in zip(images, together, strict=True):
        (alone,) = predictor.localize([image])
        assert alone.score == result.score
        assert alone.tampered_areas == result.tampered_areas
        np.testing.assert_array_equal(alone.heatmap, result.heatmap)


def test_localize_keeps_the_order_of_mixed_shapes(predictor: Predictor) -> None:
    sizes = [(40, 90), (96, 50), (40, 91), (200, 100), (1, 1)]
    results = predictor.localize([predictor.decode(picture(h, w, 0)) for h, w in sizes])
    assert [(r.height, r.width) for r in results] == sizes
    assert [r.heatmap.shape for r in results] == [(40, 90), (96, 50), (40, 91), (96, 48), (1, 1)]
    assert predictor.localize([]) == []


def test_padding_counts_for_nothing(predictor: Predictor) -> None:
    image = predictor.decode(picture(40, 70, 3))
    probabilities = predictor.predict(image.pixels[None])[0, :40, :70]
    (result,) = predictor.localize([image])
    assert result.score == pytest.approx(image_score(probabilities, top_fraction=0.01), abs=1e-6)
    assert result.tampered_areas == pytest.approx(tampered_areas(probabilities), abs=1e-6)
    np.testing.assert_array_equal(result.heatmap, to_heatmap(probabilities))


def test_predict_batch_gives_small_arrays(predictor: Predictor) -> None:
    batch = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    scores, areas, heatmaps, evidence = predictor.predict_batch(batch, [(64, 64), (10, 20)])
    assert (scores.shape, scores.dtype) == ((2,), np.float32)
    assert (areas.shape, areas.dtype) == ((2, 16), np.float32)
    assert [h.shape for h in heatmaps] == [(64, 64), (10, 20)]
    assert all(h.dtype == np.uint8 for h in heatmaps)
    assert evidence == [None, None], "one kind of evidence says no more than the score"
    empty = predictor.predict_batch(batch[:0], [])
    assert (empty[0].shape, empty[1].shape, empty[2]) == ((0,), (0, 16), [])


def test_wrong_batches_are_refused(predictor: Predictor) -> None:
    good = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    for bad in (good[0], good.astype(np.float32), good.transpose(0, 3, 1, 2), good[:, :, :33]):
        with pytest.raises(ValueError, match=r"a batch is|multiples of 32"):
            predictor.predict(bad)
    for sizes in ([], [(65, 64)], [(0, 3)]):
        with pytest.raises(ValueError, match="valid size"):
            predictor.predict_batch(good, sizes)


def test_the_png_is_the_heatmap(predictor: Predictor) -> None:
    (result,) = predictor.localize([predictor.decode(picture(50, 60, 5))])
    with Image.open(io.BytesIO(predictor.encode(result))) as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), result.heatmap)


def test_bfloat16_is_near_float32_and_another_model(weights: Path, predictor: Predictor) -> None:
    half = Predictor.setup(weights, "bfloat16")
    batch = np.random.default_rng(2).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    assert np.abs(half.predict(batch) - predictor.predict(batch)).max() < 0.1
    assert half.fingerprint != predictor.fingerprint
    with pytest.raises(ValueError, match="precision"):
        Predictor.setup(weights, "int8")  # type: ignore[arg-type]


def test_the_same_file_gives_the_same_answer_again(weights: Path, predictor: Predictor) -> None:
    again = Predictor.setup(weights)
    assert again.fingerprint == predictor.fingerprint
    assert (again.name, again.config) == ("tiny", CONFIG)
    image = predictor.decode(picture(64, 64, 9))
    np.testing.assert_array_equal(again.predict(image.pixels[None]), predictor.predict(image.pixels[None]))


# --- scoring ---


def test_the_cutoffs_are_the_sixteen_of_the_design() -> None:
    assert len(AREA_CUTOFFS) == 16
    assert (AREA_CUTOFFS[0], AREA_CUTOFFS[-1]) == (0.20, 0.95)
    assert 0.50 in AREA_CUTOFFS


def test_areas_count_pixels_that_reach_the_cutoff() -> None:
    probabilities = np.array([[0.1, 0.35], [0.5, 1.0]], dtype=np.float32)
    areas = dict(zip(AREA_CUTOFFS, tampered_areas(probabilities), strict=True))
    assert areas[0.20] == 0.75
    assert areas[0.35] == 0.75
    assert areas[0.40] == 0.5
    assert areas[0.50] == 0.5
    assert areas[0.95] == 0.25


maps = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(0, 1, width=32))


@given(maps, st.floats(0.001, 1))
def test_scores_and_areas_stay_in_range(probabilities: np.ndarray, fraction: float) -> None:
    areas = tampered_areas(probabilities)
    assert list(areas) == sorted(areas, reverse=True)
    assert all(0 <= area <= 1 for area in areas)
    score = image_score(probabilities, top_fraction=fraction)
    assert 0 <= score <= 1
    assert probabilities.mean() - 1e-6 <= score <= probabilities.max() + 1e-6


def test_the_score_is_the_mean_of_the_top() -> None:
    probabilities = np.zeros((10, 10), dtype=np.float32)
    probabilities[0, :2] = 1.0, 0.5
    assert image_score(probabilities, top_fraction=0.02) == pytest.approx(0.75)
    assert image_score(probabilities, top_fraction=0.0001) == 1.0
    assert image_score(probabilities, top_fraction=1.0) == pytest.approx(0.015)
    with pytest.raises(ValueError, match="not empty"):
        image_score(np.zeros((0, 3), dtype=np.float32), top_fraction=0.5)


def test_heatmaps_have_a_fixed_scale() -> None:
    heatmap = to_heatmap(np.array([[0.0, 0.5, 1.0]], dtype=np.float32) * 0.5)
    assert heatmap.tolist() == [[0, 64, 128]]
