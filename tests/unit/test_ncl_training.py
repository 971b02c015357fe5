"""Data readers, synthesis, figures, and a training run that is cut short and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from ncl_model.augmentation import augment, crop_window, recompress
from ncl_model.batches import Material, make_batch
from ncl_model.checkpoint import load_checkpoint
from ncl_model.config import NclConfig
from ncl_model.datasets import read_folder, read_index, split_by_group
from ncl_model.errors import ConfigInvalid, DatasetInvalid
from ncl_model.evaluation import main as evaluation_main
from ncl_model.metrics import auc, pixel_f1, threshold_at_fpr
from ncl_model.precision import main as precision_main
from ncl_model.recipe import TrainConfig
from ncl_model.release import main as release_main
from ncl_model.selection import Judged, choose_fraction, choose_shift, shifted
from ncl_model.synthesis import synthesize
from ncl_model.trainer import Trainer, learning_rate
from ncl_model.training import train

NETWORK = NclConfig(backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8, geometry="fit")
RECIPE = TrainConfig(network=NETWORK, batch=2, crop=64, minutes=0.002, precision="float32", held_out=0.4, seed=1)


def photo(seed: int, height: int = 80, width: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    return np.asarray(coarse)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of ``Material.load`` with made-up pictures."""
    root = tmp_path_factory.mktemp("data")
    people, bsds = root / "casia1/train", root / "authentic/bsds500"
    for folder in (people, bsds / "images", bsds / "regions", root / "authentic/imagenet_sample"):
        folder.mkdir(parents=True)
    lines = ["image,mask,group"]
    for i in range(12):
        Image.fromarray(photo(i)).save(people / f"{i}.jpg")
        mask = np.zeros((80, 120), np.uint8)
        mask[20:50, 30 : 60 + i] = 255
        Image.fromarray(mask).save(people / f"{i}.png")
        lines.append(f"{i}.jpg,{f'{i}.png' if i % 2 else ''},g{i // 2}")
    (people / "index.csv").write_text("\n".join(lines))
    for i in range(6):
        Image.fromarray(photo(50 + i)).save(bsds / "images" / f"{i}.jpg")
        regions = np.ones((80, 120), np.uint8)
        regions[10:40, 10:50] = 2
        Image.fromarray(regions).save(bsds / "regions" / f"{i}.png")
        Image.fromarray(photo(90 + i)).save(root / "authentic/imagenet_sample" / f"n{i}.JPEG")
    return root


# --- readers ---


def test_an_index_becomes_samples(root: Path) -> None:
    samples = read_index(root / "casia1/train/index.csv")
    assert len(samples) == 12
    assert [s.mask is None for s in samples[:2]] == [True, False]
    assert samples[3].group == "g1"


@pytest.mark.parametrize("text", ["image,mask\na.jpg,", "image,mask,group\nmissing.jpg,,g", "image,mask,group\n"])
def test_a_broken_index_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.csv").write_text(text)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DatasetInvalid, match=r"index\.csv"):
        read_index(tmp_path / "index.csv")


def test_missing_data_is_named(tmp_path: Path) -> None:
    for read in (read_folder, read_index):
        with pytest.raises(DatasetInvalid, match="nowhere"):
            read(tmp_path / "nowhere")


def test_no_group_is_on_both_sides_and_samples_do_not_move(root: Path) -> None:
    samples = read_index(root / "casia1/train/index.csv")
    kept, out = split_by_group(samples, held_out=0.4, seed=1)
    assert kept
    assert out
    assert not {s.group for s in kept} & {s.group for s in out}
    assert split_by_group(samples[:5], held_out=0.4, seed=1)[1] == [s for s in out if s in samples[:5]]


# --- making samples ---


def test_synthesis_is_deterministic_and_changes_only_around_the_mask() -> None:
    regions = np.ones((80, 120), np.uint8)
    regions[10:40, 10:50] = 2
    photos = [photo(1), photo(2)]
    for seed in range(12):
        pixels, mask = synthesize(photos, [(0, regions)], 64, np.random.default_rng(seed))
        again = synthesize(photos, [(0, regions)], 64, np.random.default_rng(seed))
        np.testing.assert_array_equal(pixels, again[0])
        np.testing.assert_array_equal(mask, again[1])
        assert pixels.shape == (64, 64, 3)
        assert mask.shape == (64, 64)
        assert 0.004 < mask.mean() < 0.6


def test_crops_hold_tampering_and_start_on_the_jpeg_grid() -> None:
    rows = np.repeat(np.arange(200, dtype=np.uint8)[:, None], 230, axis=1)
    columns = np.repeat(np.arange(230, dtype=np.uint8)[None], 200, axis=0)
    pixels = np.stack([rows, columns, rows], axis=-1)
    mask = np.zeros((200, 230), np.bool_)
    mask[150:155, 200:210] = True
    for seed in range(20):
        crop, cropped = crop_window(pixels, mask, 64, np.random.default_rng(seed))
        assert crop.shape == (64, 64, 3)
        assert cropped.any()
        assert crop[0, 0, 0] % 8 == 0
        assert crop[0, 0, 1] % 8 == 0


def test_small_photographs_are_padded() -> None:
    pixels, mask = crop_window(photo(0, 20, 30), np.ones((20, 30), np.bool_), 64, np.random.default_rng(0))
    assert pixels.shape == (64, 64, 3)
    assert mask.sum() == 600


def test_augmentation_moves_pixels_and_mask_together() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[5:20, 30:60] = True
    pixels = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
    for seed in range(20):
        moved, moved_mask = augment(pixels, mask, np.random.default_rng(seed), jpeg=0.0)
        np.testing.assert_array_equal(moved[..., 0] > 128, moved_mask)


def test_recompression_stays_close_and_keeps_the_shape() -> None:
    pixels = photo(3, 64, 64)
    assert np.abs(recompress(pixels, 95).astype(int) - pixels).mean() < 6


def test_a_batch_is_the_same_every_time(root: Path) -> None:
    material = Material.load(root, held_out=0.4, seed=1)
    assert material.validation
    assert material.shapes
    first, masks = make_batch(material, RECIPE, 5)
    assert (first.shape, first.dtype) == (torch.Size([2, 3, 64, 64]), torch.uint8)
    assert (masks.shape, masks.dtype) == (torch.Size([2, 1, 64, 64]), torch.float32)
    torch.testing.assert_close(make_batch(material, RECIPE, 5)[0], first)
    assert not torch.equal(make_batch(material, RECIPE, 6)[0], first)


# --- figures ---


def test_auc_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.3
    scores = np.round(rng.random(300) + 0.3 * labels, 1)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert auc(np.zeros(4), np.array([True, False, True, False])) == 0.5
    assert np.isnan(auc(np.zeros(2), np.array([True, True])))


def test_pixel_f1() -> None:
    mask = np.array([[True, True, False, False]])
    assert pixel_f1(np.array([[0.9, 0.1, 0.5, 0.0]]), mask) == 0.5
    assert pixel_f1(np.zeros((1, 4)), mask) == 0.0


def test_threshold_flags_at_most_the_wanted_share() -> None:
    scores = np.random.default_rng(0).random(80)
    for fpr in (0.0, 0.01, 0.05, 0.2, 1.0):
        assert (scores > threshold_at_fpr(scores, fpr)).mean() <= fpr
    assert (scores > threshold_at_fpr(scores, 0.05)).sum() == 4


# --- training ---


def test_the_recipe_reads_json_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"minutes": 3, "network": {"backbone": "resnet34"}}))
    recipe = TrainConfig.from_file(path)
    assert (recipe.minutes, recipe.network.backbone, recipe.batch) == (3, "resnet34", 16)
    for bad in ({"speed": 1}, {"people": 2.0}, {"crop": 100}, {"network": {"backbone": "x"}}):
        path.write_text(json.dumps(bad))
        with pytest.raises(ConfigInvalid):
            TrainConfig.from_file(path)
    path.write_text("[1")
    with pytest.raises(ConfigInvalid):
        TrainConfig.from_file(path)


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    rates = [learning_rate(RECIPE, step, step / 1000) for step in range(1001)]
    assert max(rates) <= RECIPE.learning_rate
    assert rates[0] < rates[50] < rates[99]
    assert rates[-1] == pytest.approx(0.01 * RECIPE.learning_rate)


def test_a_few_steps_fit_a_batch(tmp_path: Path) -> None:
    trainer = Trainer(RECIPE, tmp_path)
    pixels = torch.randint(0, 100, (2, 3, 64, 64), dtype=torch.uint8)
    masks = torch.zeros(2, 1, 64, 64)
    masks[..., 16:48, 8:40] = 1
    pixels = pixels + (masks * 120).byte()
    trainer.recipe = TrainConfig(network=NETWORK, precision="float32", warmup_steps=1, learning_rate=1e-2)
    losses = [trainer.train_step(pixels, masks) for _ in range(40)]
    assert losses[-1] < 0.6 * losses[0]


def test_a_run_writes_weights_and_resumes(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = train(RECIPE, root, tmp_path)
    checkpoint = load_checkpoint(weights)
    checkpoint.build(weights)
    assert checkpoint.provenance["recipe"]["seed"] == 1
    assert "pixel_auc" in checkpoint.metrics["validation"]
    again = Trainer(RECIPE, tmp_path)
    assert again.resume()
    assert again.step == checkpoint.provenance["steps"] >= 1
    assert again.progress == 1.0
    before = weights.read_bytes()
    assert train(RECIPE, root, tmp_path).read_bytes() == before  # finished: nothing more happens
    capsys.readouterr()
    assert evaluation_main(["--weights", str(weights), "--data", str(root / "casia1/train/index.csv"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["tampered"], figures["authentic"]) == (6, 6)
    assert 0 <= figures["pixel_auc"] <= 1

    shipped = tmp_path / "shipped.safetensors"
    command = ["--run", str(weights), "--data", str(root), "--out", str(shipped), "--version", "7"]
    assert release_main(command) == 0
    released = load_checkpoint(shipped)
    released.build(shipped)
    assert (released.version, released.name) == ("7", checkpoint.name)
    assert (
        0 < released.metrics["suggested_threshold"]["fpr_0.20"] <= released.metrics["suggested_threshold"]["fpr_0.05"]
    )
    assert released.config.score_top_fraction == released.provenance["chosen_on_validation"]["score_top_fraction"]


# --- choices on validation images ---


def test_shifting_probabilities_is_adding_to_logits() -> None:
    logits = torch.linspace(-9, 9, 40)
    expected = torch.sigmoid(logits + 1.5).numpy()
    np.testing.assert_allclose(shifted(torch.sigmoid(logits).numpy(), 1.5), expected, atol=1e-6)
    assert shifted(np.array([0.0, 1.0], dtype=np.float32), 2.0).tolist() == [0.0, 1.0]


def test_the_smallest_shift_that_is_as_good_is_chosen() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[:3] = True
    timid = np.where(mask, 0.35, 0.05).astype(np.float32)
    shift, figures = choose_shift([Judged(probabilities=timid, mask=mask)])
    assert shift == 0.75
    assert (figures[0.0], figures[0.75]) == (0.0, 1.0)


def test_the_fraction_that_ranks_best_is_chosen() -> None:
    rng = np.random.default_rng(0)
    judged = []
    for number in range(40):
        probabilities = (rng.random((20, 20)) * 0.2).astype(np.float32)
        probabilities[0, 0] = rng.random()  # one loud pixel everywhere tells nothing
        tampered = number % 2 == 0
        if tampered:
            probabilities[5:8, 5:8] = 0.6
        judged.append(Judged(probabilities=probabilities, mask=np.ones((20, 20), np.bool_) if tampered else None))
    fraction, figures = choose_fraction(judged)
    assert figures[fraction] == 1.0
    assert figures[0.001] < 0.8


def test_precisions_are_compared(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = Trainer(RECIPE, tmp_path).save({}, {})
    index = str(root / "casia1/train/index.csv")
    assert precision_main(["--weights", str(weights), "--data", index, "--side", "64", "--images", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["float32_images_per_s"] > 0
    assert figures["score_difference_mean"] <= figures["score_difference_max"] < 0.05
