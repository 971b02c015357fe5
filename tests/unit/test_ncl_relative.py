"""Features against the rest of their image: the standard score, without padding, finite for flat images."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ncl_model.architecture.relative import Relative, standard_scores, valid_cells


def slow_scores(x: Tensor, cells: list[tuple[int, int]]) -> Tensor:
    """By loops: (value - mean) / (spread + 0.001), at most 5 either way."""
    scores = torch.zeros_like(x)
    for image, (rows, columns) in enumerate(cells):
        for channel in range(x.shape[1]):
            inside = [float(x[image, channel, r, c]) for r in range(rows) for c in range(columns)]
            mean = sum(inside) / len(inside)
            spread = math.sqrt(sum((value - mean) ** 2 for value in inside) / len(inside))
            for r in range(x.shape[2]):
                for c in range(x.shape[3]):
                    score = (float(x[image, channel, r, c]) - mean) / (spread + 1e-3)
                    scores[image, channel, r, c] = max(-5.0, min(5.0, score))
    return scores


def cells_of(seed: int = 0) -> Tensor:
    values = torch.randn(3, 4, 6, 9, generator=torch.Generator().manual_seed(seed))
    values[:, :, 0, 0] += 40  # far enough to be clipped
    return values


def test_scores_are_their_definition() -> None:
    x = cells_of()
    torch.testing.assert_close(standard_scores(x), slow_scores(x, [(6, 9)] * 3), rtol=1e-4, atol=1e-5)
    assert standard_scores(x).max() == 5.0


def test_padding_does_not_count() -> None:
    x, cells = cells_of(), [(6, 9), (2, 5), (1, 1)]
    torch.testing.assert_close(standard_scores(x, cells), slow_scores(x, cells), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", [0.0, 1e4, -3.0])
def test_scores_of_the_photograph_are_those_without_any_padding(padding: float) -> None:
    relative, x = Relative(8), cells_of()
    padded = torch.full((3, 4, 8, 12), padding)
    padded[:, :, :6, :9] = x
    sizes = [(48, 72), (41, 66), (48, 65)]  # all of them six by nine cells
    torch.testing.assert_close(relative(padded, sizes)[:, :, :6, :9], relative(x), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(relative(padded)[:, 4:, :6, :9], relative(x)[:, 4:], atol=0.1)


def test_features_come_first_as_they_are_and_in_their_own_precision() -> None:
    relative, x = Relative(16), cells_of().bfloat16()
    both = relative(x, None)
    assert (both.shape, both.dtype) == ((3, 8, 6, 9), torch.bfloat16)
    assert torch.equal(both[:, :4], x)
    # computed in float32: only the result is rounded
    torch.testing.assert_close(both[:, 4:], standard_scores(x.float()).bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize("cells", [None, [(3, 4), (1, 1)]])
def test_flat_images_are_finite_and_so_are_their_gradients(cells: list[tuple[int, int]] | None) -> None:
    x = torch.full((2, 3, 3, 4), 7.0, requires_grad=True)
    scores = standard_scores(x, cells)
    assert torch.equal(scores, torch.zeros_like(scores))
    (scores * torch.randn_like(scores)).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_a_cell_that_is_part_photograph_counts() -> None:
    assert valid_cells([(1, 8), (9, 16), (64, 33)], 8) == [(1, 1), (2, 2), (8, 5)]
    assert valid_cells(None, 8) is None


def test_scores_do_not_change_with_gain_and_offset() -> None:
    """What counts is what differs from the rest."""
    x = 50 * cells_of()
    torch.testing.assert_close(standard_scores(3 * x - 20), standard_scores(x), rtol=0, atol=1e-3)
