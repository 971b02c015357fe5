"""One forward pass of training: network and objective as one module, so that one wrapper sees all parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ncl_model.architecture.network import NclNetwork, channels_last
from ncl_model.losses.objective import LossParts, Objective
from ncl_model.training.recipe import TrainConfig

#: torch's types by the recipe's words
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TrainingModule(nn.Module):
    """(pixels, masks) to ``LossParts``. Shapes: B, 3, H, W uint8 and B, 1, H, W in {0, 1}."""

    def __init__(self, recipe: TrainConfig, average: Callable[[Tensor], Tensor]) -> None:
        """``average`` gives the mean of a count over the workers; see ``Objective``."""
        super().__init__()
        self.network = channels_last(NclNetwork(recipe.network)).train()
        self.objective = Objective(recipe.loss, self.network.backbone.channels[1]).train()
        self._dtype = DTYPES[recipe.precision]
        self._average = average
        # kept out of the module tree: a compiled twin would double every name of the state
        self._run: tuple[Callable[[Tensor], object]] = (self.network,)
        if recipe.compile:
            self._run = (torch.compile(self.network),)

    def forward(self, pixels: Tensor, masks: Tensor, step: int) -> LossParts:
        with torch.autocast(pixels.device.type, self._dtype, enabled=self._dtype is not torch.float32):
            output = self._run[0](pixels)
        parts: LossParts = self.objective(output, masks, step=step, across_workers=self._average)
        return parts
