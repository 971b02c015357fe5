"""Training batches: samples put together.

Sample k of batch n of a seed is always the same, whoever makes it: a resumed run sees what an unbroken one would
have seen, and several workers see together what one would see alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ncl_model.errors import DatasetInvalid, NclModelError
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.samples import Photographs, make_sample

#: other photographs that are tried when one cannot be read
_TRIES = 20


class Batch(NamedTuple):
    """One worker's share of a batch."""

    #: (B, 3, H, W) uint8, channels last
    pixels: Tensor
    #: (B, 1, H, W) bool, True = tampered
    masks: Tensor
    #: (B, 2, 2) int64 phases of grids; None where the network takes none
    grids: Tensor | None
    #: why photographs were left out and others taken instead
    left_out: tuple[str, ...]


def make_batch(material: Photographs, recipe: TrainConfig, number: int, rank: int = 0, workers: int = 1) -> Batch:
    """Batch ``number``, of which worker ``rank`` of ``workers`` takes the samples k with k % workers == rank.

    A photograph that cannot be read is left out and another taken. Raises DatasetInvalid when many in a row fail.
    """
    left_out: list[str] = []
    samples = []
    for k in range(rank, recipe.batch_size, workers):
        rng = np.random.default_rng((recipe.seed, number * recipe.batch_size + k))
        samples.append(_readable(partial(make_sample, material, recipe, rng), left_out))
    pixels = torch.from_numpy(np.stack([s.pixels for s in samples])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([s.mask for s in samples])).unsqueeze(1)
    asked = recipe.network.grid == "estimated"
    grids = torch.from_numpy(np.stack([s.grids for s in samples])) if asked else None
    return Batch(pixels, masks, grids, tuple(left_out))


_T = TypeVar("_T")


def _readable(make: Callable[[], _T], left_out: list[str]) -> _T:
    for _ in range(_TRIES):
        try:
            return make()
        except (NclModelError, OSError) as error:
            left_out.append(str(error))
    raise DatasetInvalid(f"{_TRIES} photographs in a row cannot be read; the last: {left_out[-1]}")
