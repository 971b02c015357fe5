"""Blocks read where they begin: moved there and back, a cropped photograph gives what the whole one gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.textured import Pixels, textured, through_jpeg
from torch import Tensor

from ncl_model.architecture.compression import CompressionFeatures
from ncl_model.architecture.network import ExpertOutput
from ncl_model.architecture.traces import TraceExpert, moved_back, on_grid
from ncl_model.imaging.grid import find_grids

PHASES = [(row, column) for row in range(8) for column in range(8)]


def pictures(*pixels: Pixels) -> Tensor:
    """(B, 3, H, W) uint8."""
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


def lively(channels: int = 8, seed: int = 0) -> TraceExpert:
    """An expert with logits that differ from cell to cell, in evaluation mode."""
    torch.manual_seed(seed)
    expert = TraceExpert(channels, 8)
    for head in expert.heads():
        torch.nn.init.normal_(head.weight, std=1.0)
    return expert.eval()


@pytest.fixture(scope="module")
def photograph() -> Pixels:
    return through_jpeg(textured(3, 136, 168), 75)


@pytest.mark.parametrize("phase", PHASES)
def test_blocks_are_moved_by_half_a_block_at_most_with_edges_repeated(phase: tuple[int, int]) -> None:
    pixels = torch.randint(0, 256, (1, 3, 32, 64), dtype=torch.uint8)
    moved = on_grid(pixels, torch.tensor([phase]))
    down, right = ((p if p <= 4 else p - 8) for p in phase)
    rows = (torch.arange(32) + down).clamp(0, 31)
    columns = (torch.arange(64) + right).clamp(0, 63)
    assert torch.equal(moved[0], pixels[0][:, rows][:, :, columns].float())


@pytest.mark.parametrize("phase", [*range(8)])
def test_what_is_linear_comes_back_exactly(phase: int) -> None:
    """Cell k of the moved blocks lies at 8k + move; moved back, cell k lies at 8k."""
    move = phase if phase <= 4 else phase - 8
    centres = 8.0 * torch.arange(10) + move
    for axis in (0, 1):
        ramp = (
            centres.view(1, 1, -1, 1).expand(1, 2, 10, 6)
            if axis == 0
            else centres.view(1, 1, 1, -1).expand(1, 2, 6, 10)
        )
        phases = torch.tensor([[phase, 0] if axis == 0 else [0, phase]])
        back = moved_back(ramp * 3 - 5, phases)
        wanted = 3 * (ramp - move) - 5
        inner = np.s_[:, :, 1:-1] if axis == 0 else np.s_[..., 1:-1]
        torch.testing.assert_close(back[inner], wanted[inner], rtol=0, atol=1e-4)


def test_each_image_of_a_batch_is_moved_back_by_its_own_phase() -> None:
    features = torch.randn(5, 4, 6, 7)
    phases = torch.tensor([[0, 0], [3, 0], [0, 6], [4, 4], [7, 1]])
    together = moved_back(features, phases)
    alone = [moved_back(features[i : i + 1], phases[i : i + 1]) for i in range(5)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together[0], features[0])


@pytest.mark.parametrize("crop", [(1, 0), (3, 5), (4, 4), (7, 2), (8, 11)])
def test_features_of_a_crop_are_those_of_the_whole_where_blocks_coincide(
    photograph: Pixels, crop: tuple[int, int]
) -> None:
    features = CompressionFeatures()
    whole = features(pictures(photograph))
    top, left = crop
    cut = photograph[top : top + 96, left : left + 128]
    phase = find_grids(cut).first
    moved = features(on_grid(pictures(cut), torch.tensor([phase])))
    down, right = ((at + (p if p <= 4 else p - 8)) // 8 for at, p in zip(crop, phase, strict=True))
    inner = moved[:, :, 1:-1, 1:-1]
    there = whole[:, :, 1 + down : 1 + down + inner.shape[2], 1 + right : 1 + right + inner.shape[3]]
    torch.testing.assert_close(inner, there, rtol=0, atol=5e-3)  # float32 inside a cosine
    off = features(pictures(cut))[:, :, 1:-1, 1:-1]
    assert crop == (8, 11) or (off - there).abs().mean() > 10 * (inner - there).abs().mean()


def resampled(logits: Tensor, crop: tuple[int, int], cells: tuple[int, int], cell: int) -> Tensor:
    """Logits of the whole photograph, linearly between its cells, where those of the crop lie."""
    for axis, at in ((2, crop[0] / cell), (3, crop[1] / cell)):
        start, share = int(at), at - int(at)
        size = cells[axis - 2]
        logits = (1 - share) * logits.narrow(axis, start, size) + share * logits.narrow(axis, start + 1, size)
    return logits


@torch.no_grad()
@pytest.mark.parametrize("crop", [(3, 5), (4, 1), (6, 7)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_crop_is_seen_like_the_whole_with_estimated_grids_and_not_with_fixed_ones(
    crop: tuple[int, int], seed: int
) -> None:
    """A photograph that was cropped and saved again, so that both of its grids are there to be found."""
    expert, photograph = lively(seed=seed), through_jpeg(through_jpeg(textured(3, 144, 176), 60)[5:, 2:], 90)
    cut = photograph[crop[0] : crop[0] + 128, crop[1] : crop[1] + 160]

    def seen(pixels: Pixels, grids: Tensor | None) -> ExpertOutput:
        return expert(pictures(pixels), None, grids)[0]

    whole = seen(photograph, torch.tensor([find_grids(photograph)]))
    estimated, fixed = seen(cut, torch.tensor([find_grids(cut)])), seen(cut, None)
    for stage, cell in ((0, 8), (1, 4)):
        cells = tuple(side // cell - 1 for side in cut.shape[:2])
        there = resampled(whole.logits[stage], crop, cells, cell)
        inner = np.s_[:, :, 2:-2, 2:-2]
        near, far = (
            float((each.logits[stage][:, :, : cells[0], : cells[1]] - there)[inner].abs().mean())
            for each in (estimated, fixed)
        )
        assert near < 0.8 * far, (cell, near, far)


@torch.no_grad()
def test_images_of_a_batch_know_nothing_of_each_other(photograph: Pixels) -> None:
    expert = lively()
    cuts = [photograph[top : top + 64, left : left + 96] for top, left in ((0, 0), (3, 9), (6, 20))]
    sizes = [(64, 96), (50, 90), (64, 41)]
    grids = torch.tensor([find_grids(cut) for cut in cuts])
    together, last = expert(pictures(*cuts), sizes, grids)
    for i, cut in enumerate(cuts):
        alone, alone_last = expert(pictures(cut), sizes[i : i + 1], grids[i : i + 1])
        for a, b in zip(together.logits, alone.logits, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together.image[i : i + 1], alone.image, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(last[i : i + 1], alone_last, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_without_grids_blocks_begin_at_the_first_pixel(photograph: Pixels) -> None:
    expert = lively()
    pixels = pictures(photograph[:64, :96])
    fixed, estimated = expert(pixels, None, None)[0], expert(pixels, None, torch.zeros(1, 2, 2, dtype=torch.int64))[0]
    assert all(torch.equal(a, b) for a, b in zip(fixed.logits, estimated.logits, strict=True))
    other = expert(pixels, None, torch.tensor([[[0, 0], [3, 5]]]))[0]
    assert not torch.equal(fixed.logits[0], other.logits[0]), "the second grid is looked at too"


def test_features_are_float32_under_autocast(photograph: Pixels) -> None:
    expert, seen = lively(), []
    expert.narrow.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    pixels, grids = pictures(photograph[:64, :64]), torch.tensor([[[3, 5], [0, 0]]])
    with torch.no_grad():
        expert(pixels, None, grids)
        with torch.autocast("cpu", torch.bfloat16):
            expert(pixels, None, grids)
    assert [features.dtype for features in seen] == [torch.float32] * 4
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])


def test_phases_may_stay_in_the_hosts_memory() -> None:
    """A step on another device needs no copy of them, and no word from it to know what is moved."""
    moved = moved_back(torch.zeros(2, 4, 5, 6, device="meta"), torch.tensor([[3, 0], [0, 7]]))
    assert (moved.device.type, moved.shape) == ("meta", (2, 4, 5, 6))
