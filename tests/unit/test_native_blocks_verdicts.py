"""Large photographs: what is read of them at native size reaches the network on every way to a verdict."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.textured import textured
from support.training_material import TINY_EXPERTS

from jobs.storage import S3Options
from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.registry import build_network
from ncl_model.errors import ConfigInvalid
from ncl_model.imaging.decoding import DecodedImage
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint
from ncl_model.inference.predictor import Predictor
from nclscreen.catalog import ModelVersion
from nclscreen.hosting.replica import Localizer

NATIVE = dataclasses.replace(TINY_EXPERTS, geometry="fit", native_blocks=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("native") / "native.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        packed = pack_weights(build_network(NATIVE).state_dict())
    save_checkpoint(path, Checkpoint(config=NATIVE, weights=packed, name="native", version="0"))
    return path


def decoded(predictor: Predictor, height: int, width: int, seed: int) -> DecodedImage:
    buffer = io.BytesIO()
    Image.fromarray(textured(seed, height, width)).save(buffer, "JPEG", quality=85)
    return predictor.decode(buffer.getvalue())


def test_a_replica_says_what_the_predictor_says_of_large_and_small_ones_together(weights: Path) -> None:
    predictor = Predictor.setup(weights)
    images = [decoded(predictor, *size, seed=3 + i) for i, size in enumerate([(200, 260), (72, 96), (300, 391)])]
    images = [image for image in images if image.pixels.shape == images[0].pixels.shape]
    assert [image.blocks is None for image in images] == [False, True, False]
    replica = Localizer(
        ModelVersion(
            fingerprint=load_checkpoint(weights).fingerprint("float32"), places=(str(weights),), s3=S3Options()
        )
    )
    asyncio.run(replica.reconfigure({"threads": 1}))
    batch, sizes = np.stack([each.pixels for each in images]), [(e.valid_height, e.valid_width) for e in images]
    blocks = [image.blocks for image in images]
    reply = asyncio.run(replica(batch, sizes, predictor.fingerprint, blocks))
    assert reply.error is None
    for image, score, heatmap in zip(images, reply.scores, reply.heatmaps, strict=True):  # type: ignore[arg-type]
        alone = predictor.localize([image])[0]
        assert score == pytest.approx(alone.score, abs=1e-6)
        assert np.abs(heatmap.astype(int) - alone.heatmap).max() <= 1


def test_the_blocks_are_what_is_judged_and_not_the_canvas(weights: Path) -> None:
    predictor = Predictor.setup(weights)
    image = decoded(predictor, 200, 260, seed=3)
    size = [(image.valid_height, image.valid_width)]
    native = predictor.judge(image.pixels[None], size, [image.blocks])[0]
    canvas = predictor.judge(image.pixels[None], size)[0]
    assert native.statistics["pixels"] == pytest.approx(canvas.statistics["pixels"], abs=1e-6)
    assert "traces" in native.statistics
    assert "traces" not in canvas.statistics, "the resize left no grid to read"


def test_a_mixed_batch_gives_what_each_gives_alone(weights: Path) -> None:
    predictor = Predictor.setup(weights)
    images = [decoded(predictor, 200, 260, seed=3), decoded(predictor, 72, 96, seed=4)]
    batch = torch.tensor(np.stack([each.pixels for each in images])).permute(0, 3, 1, 2)
    sizes = [(each.valid_height, each.valid_width) for each in images]
    grids = torch.tensor([[[0, 0], [3, 2]], [[5, 1], [0, 4]]])
    blocks = [None if each.blocks is None else torch.tensor(each.blocks.luma) for each in images]
    network = predictor._network
    with torch.inference_mode():
        together = network(batch, sizes, grids, blocks).logits[-1]
        for i in range(2):
            alone = network(batch[i : i + 1], sizes[i : i + 1], grids[i : i + 1], blocks[i : i + 1]).logits[-1]
            torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("changes", [{"grid": "fixed"}, {"geometry": "stretch"}, {"native_blocks": 9}])
def test_configs_that_could_not_have_them_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid):
        NclConfig(**{**NATIVE.to_dict(), **changes})  # type: ignore[arg-type]
