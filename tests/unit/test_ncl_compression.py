"""The compression stream: what JPEG leaves behind is found, and found in the same way whichever side is up."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ncl_model.architecture.compression import BLOCK, FEATURES, CompressionFeatures
from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import NclNetwork

SIDE = 128


def photo(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """(side, side) uint8 with soft shapes and a little grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse) + rng.normal(0, 12, (side, side)), 0, 255).astype(np.uint8)


def compressed(grey: np.ndarray, step: int) -> np.ndarray:
    """Through JPEG with every coefficient quantised by ``step``."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", qtables=[[step] * 64])
    with Image.open(buffer) as image:
        return np.asarray(image)


def colours(grey: np.ndarray) -> Tensor:
    """(1, 3, H, W) uint8."""
    return torch.from_numpy(np.repeat(grey[None, None], 3, axis=1))


def comb(grey: np.ndarray, step_index: int) -> float:
    """Mean over blocks and the lowest coefficients of the features of one quantisation step."""
    features = CompressionFeatures()(colours(grey))
    count = (FEATURES - BLOCK * BLOCK) // 12
    start = BLOCK * BLOCK + step_index * count
    return float(features[:, start : start + count].mean())


def test_the_transform_keeps_energy() -> None:
    basis = CompressionFeatures().basis.view(64, 64)
    assert torch.allclose(basis @ basis.t(), torch.eye(64), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 8, 9, 20])
def test_features_made_some_rows_at_a_time_are_those_of_a_slow_transform(rows: int) -> None:
    luma = torch.rand((2, 1, rows * BLOCK, 3 * BLOCK), generator=torch.Generator().manual_seed(rows)) * 255
    network = CompressionFeatures()
    features = network.of_luma(luma)
    assert features.shape == (2, FEATURES, rows, 3)
    u = np.arange(8)
    cosines = np.cos((2 * u[None] + 1) * u[:, None] * np.pi / 16) * np.where(u == 0, np.sqrt(1 / 8), 0.5)[:, None]
    for image, row, column in [(0, 0, 0), (1, rows - 1, 2), (0, rows // 2, 1)]:
        block = luma[image, 0, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].double().numpy() - 128
        coefficients = (cosines @ block @ cosines.T).ravel()
        slow = [np.log1p(np.abs(coefficients)) / 2]
        slow += [np.cos(coefficients[network.lowest.numpy()] * float(each)) for each in network.frequencies]
        np.testing.assert_allclose(features[image, :, row, column].numpy(), np.concatenate(slow), atol=2e-3)


@pytest.mark.parametrize(("step_index", "step"), [(4, 6), (7, 10), (10, 16)])
def test_an_earlier_quantisation_shows_in_its_own_comb(step_index: int, step: int) -> None:
    before = photo()
    after = compressed(before, step)
    assert comb(after, step_index) > 0.8
    assert comb(before, step_index) < 0.4
    assert comb(after[3:-5, 3:-5], step_index) < 0.4, "on a shifted grid the comb is gone"
    again = compressed(after, 3)
    assert comb(again, step_index) > comb(compressed(before, 3), step_index) + 0.2, "it survives a milder second time"


def test_zeros_of_coarse_quantisers_show_in_the_logarithms() -> None:
    fine, coarse = (CompressionFeatures()(colours(compressed(photo(), step)))[:, :64] for step in (2, 40))
    assert float((coarse < 0.3).float().mean()) > float((fine < 0.3).float().mean()) + 0.3


def test_mirrored_and_turned_photographs_have_mirrored_and_turned_combs() -> None:
    grey = compressed(photo(), 8)
    plain = CompressionFeatures()(colours(grey))
    mirrored = CompressionFeatures()(colours(np.ascontiguousarray(grey[:, ::-1])))
    # float32 rounding inside a cosine of up to 1000 / 2 * 2 pi
    assert torch.allclose(mirrored.flip(3), plain, atol=5e-3)


def test_the_features_are_the_same_under_autocast() -> None:
    config = NclConfig(
        backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8, compression="dct"
    )
    stream = NclNetwork(config).eval().compression
    assert stream is not None
    seen: list[Tensor] = []
    stream.features.register_forward_hook(lambda *call: seen.append(call[2]))
    pixels = colours(photo())
    with torch.no_grad():
        stream(pixels)
        with torch.autocast("cpu", torch.bfloat16):
            stream(pixels)
    assert seen[1].dtype == torch.float32
    assert torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("head", ["none", "pooled"])
def test_the_network_takes_both_options_at_both_strides(stride: int, head: str) -> None:
    config = NclConfig(
        backbone="resnet50",
        width=8,
        output_stride=stride,  # type: ignore[arg-type]
        aspp_channels=8,
        decoder_channels=16,
        compression="dct",
        compression_channels=12,
        head=head,  # type: ignore[arg-type]
    )
    network = NclNetwork(config).eval()
    with torch.no_grad():
        output = network(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
    assert [tuple(x.shape[2:]) for x in output.logits] == [(8, 12), (16, 24), (32, 48), (64, 96)]
    assert (output.image is None) if head == "none" else (output.image is not None and output.image.shape == (2,))


def test_the_compression_stream_reaches_the_map() -> None:
    torch.manual_seed(0)
    config = NclConfig(
        backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8, compression="dct"
    )
    network = NclNetwork(config).train()
    network(colours(photo(side=64)).repeat(2, 1, 1, 1)).logits.stride1.sum().backward()
    assert network.compression is not None
    for name, parameter in network.compression.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
