"""Training batches: samples put together.

Sample k of batch n of a seed is always the same, whoever makes it: a resumed run sees what an unbroken one would
have seen, and several workers see together what one would see alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ncl_model.errors import DatasetInvalid, NclModelError
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.samples import Photographs, TrainingSample, make_sample

#: other photographs that are tried when one cannot be read
_TRIES = 20


class Batch(NamedTuple):
    """One worker's share of a batch: B views, the last V of them second, mirrored views of others."""

    #: (B, 3, H, W) uint8, channels last
    pixels: Tensor
    #: (B, 1, H, W) uint8, see ``truth_maps``
    truth: Tensor
    #: (B,) int64: 1 tampered, 0 authentic, -1 unknown
    labels: Tensor
    #: (V,) int64: which view each of the last V belongs to
    views: Tensor
    #: (B, 2, 2) int64 phases of grids; None where the network takes none
    grids: Tensor | None = None
    #: why photographs were left out and others taken instead
    left_out: tuple[str, ...] = ()

    def parts(self, count: int) -> list[Batch]:
        """The same in so many parts of equally many photographs, each with its second views."""
        photographs = len(self.pixels) - len(self.views)
        return [self._only(part) for part in torch.arange(photographs).chunk(count)]

    def _only(self, photographs: Tensor) -> Batch:
        first = int(photographs[0])
        belongs = (self.views >= first) & (self.views <= int(photographs[-1]))
        rows = torch.cat([photographs, len(self.pixels) - len(self.views) + belongs.nonzero().flatten()])
        return Batch(
            pixels=self.pixels[rows],
            truth=self.truth[rows],
            labels=self.labels[rows],
            views=self.views[belongs] - first,
            grids=None if self.grids is None else self.grids[rows],
        )


def make_batch(material: Photographs, recipe: TrainConfig, number: int, rank: int = 0, workers: int = 1) -> Batch:
    """Batch ``number``, of which worker ``rank`` of ``workers`` takes the samples k with k % workers == rank.

    A photograph that cannot be read is left out and another taken. Raises DatasetInvalid when many in a row fail.
    """
    left_out: list[str] = []
    samples = []
    for k in range(rank, recipe.batch_size, workers):
        rng = np.random.default_rng((recipe.seed, number * recipe.batch_size + k))
        samples.append(_readable(partial(make_sample, material, recipe, rng), left_out))
    return _stacked(samples, recipe, tuple(left_out))


def _stacked(samples: Sequence[TrainingSample], recipe: TrainConfig, left_out: tuple[str, ...]) -> Batch:
    twice = [number for number, sample in enumerate(samples) if sample.second is not None]
    views = [sample.view for sample in samples] + [sample.second for sample in samples if sample.second is not None]
    truths = [sample.truth for sample in samples] + [samples[number].truth for number in twice]
    labels = [sample.label for sample in samples] + [samples[number].label for number in twice]
    asked = recipe.network.grid == "estimated"
    return Batch(
        pixels=torch.from_numpy(np.stack([view.pixels for view in views])).permute(0, 3, 1, 2),
        truth=torch.from_numpy(np.stack(truths)).unsqueeze(1),
        labels=torch.tensor(labels),
        views=torch.tensor(twice, dtype=torch.int64),
        grids=torch.from_numpy(np.stack([view.grids for view in views])) if asked else None,
        left_out=left_out,
    )


_T = TypeVar("_T")


def _readable(make: Callable[[], _T], left_out: list[str]) -> _T:
    for _ in range(_TRIES):
        try:
            return make()
        except (NclModelError, OSError) as error:
            left_out.append(str(error))
    raise DatasetInvalid(f"{_TRIES} photographs in a row cannot be read; the last: {left_out[-1]}")
