"""One forward pass of training: network and objective as one module, so that one wrapper sees all parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ncl_model.architecture.registry import build_network, channels_last
from ncl_model.losses.objective import LossParts, Objective
from ncl_model.losses.truth import Truth
from ncl_model.training.recipe import TrainConfig

#: torch's types by the recipe's words
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

#: sets the draws of steps apart from those of samples
_HALVED = 0x4A1F


class TrainingModule(nn.Module):
    """A batch, tensor by tensor as in ``training.batches.Batch``, to ``LossParts``."""

    def __init__(self, recipe: TrainConfig, average: Callable[[Tensor], Tensor], precision: str) -> None:
        """``average`` gives the mean of a count over the workers, see ``Objective``; ``precision``: never "auto"."""
        super().__init__()
        self.network = channels_last(build_network(recipe.network)).train()
        self.objective = Objective(recipe.loss, *self.network.patch_channels).train()
        self._dtype = DTYPES[precision]
        self._average = average
        self._halved, self._seed = recipe.halved, recipe.seed
        # kept out of the module tree: a compiled twin would double every name of the state
        self._run: tuple[Callable[..., Any]] = (self.network,)
        if recipe.compile:
            self._run = (torch.compile(self.network),)

    def forward(
        self, pixels: Tensor, truth: Tensor, labels: Tensor, views: Tensor, step: int, grids: Tensor | None = None
    ) -> LossParts:
        with torch.autocast(pixels.device.type, self._dtype, enabled=self._dtype is not torch.float32):
            output = self._run[0](pixels, **self._options(step, grids))
        target = Truth.of_maps(truth, labels, views)
        parts: LossParts = self.objective(output, target, step=step, across_workers=self._average)
        return parts

    def _options(self, step: int, grids: Tensor | None) -> dict[str, Any]:
        """What a network takes beside pixels; whether it is a step at half size is the same on every worker."""
        options: dict[str, Any] = {} if grids is None else {"grids": grids}
        if self._halved:
            options["halved"] = bool(np.random.default_rng((self._seed, _HALVED, step)).random() < self._halved)
        return options
