"""What the networks are given is made some rows at a time, and is the same as made at once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ncl_model.architecture.backbone import ResidualFilters
from ncl_model.architecture.inputs import prepared

MEAN, STD = torch.full((1, 3, 1, 1), 120.0), torch.tensor([50.0, 60.0, 70.0]).view(1, 3, 1, 1)


def pixels(height: int, width: int = 64, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("height", [32, 64, 96, 160])
@pytest.mark.parametrize("laid_out", [torch.contiguous_format, torch.channels_last])
def test_rows_join_without_a_seam(height: int, laid_out: torch.memory_format) -> None:
    values = pixels(height).contiguous(memory_format=laid_out)
    filters = ResidualFilters()
    inputs, energy = prepared(values, MEAN, STD, filters, 8)
    maps = filters(values.float())
    torch.testing.assert_close(inputs[:, :3], (values.float() - MEAN) / STD, rtol=0, atol=0)
    torch.testing.assert_close(inputs[:, 3:], maps, rtol=1e-6, atol=1e-6)
    assert energy is not None
    torch.testing.assert_close(energy, F.avg_pool2d(maps.square(), 8), rtol=1e-5, atol=1e-6)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_the_maps_are_those_of_their_kernels_with_the_edge_repeated() -> None:
    values = pixels(32).float()
    filters = ResidualFilters()
    padded = F.pad(values, (2, 2, 2, 2), mode="replicate")
    slow = torch.zeros(2, 9, 32, 64)
    for output in range(9):
        for row in range(5):
            for column in range(5):
                part = padded[:, output // 3, row : row + 32, column : column + 64]
                slow[:, output] += filters.kernels[output, 0, row, column] * part
    torch.testing.assert_close(filters(values), slow.clamp(-8, 8) / 4, rtol=1e-5, atol=1e-5)


def test_without_filters_there_are_colours_alone() -> None:
    values = pixels(64)
    inputs, energy = prepared(values, MEAN, STD, None, 8)
    assert inputs.shape == (2, 3, 64, 64)
    assert energy is None


def test_energy_is_made_where_it_is_asked_for() -> None:
    assert prepared(pixels(64), MEAN, STD, ResidualFilters())[1] is None


def test_it_stays_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inputs, energy = prepared(pixels(64), MEAN, STD, ResidualFilters(), 8)
    assert energy is not None
    assert inputs.dtype == energy.dtype == torch.float32
