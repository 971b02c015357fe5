"""Losses added up on the device over the steps of one row of the log, so that no step has to wait for its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ncl_model.errors import TrainingDiverged
from ncl_model.training.worker_group import WorkerGroup

#: names of the losses, in the order of ``LossParts``
LOSSES = ("loss", "pivot_consistent", "contrast", "image", "against_chance", "weak")
#: steps in a row that may be left out because their gradients are not finite
_MOST_IN_A_ROW = 20


@dataclass(frozen=True, kw_only=True)
class LossMeans:
    """What was added up since the means were last asked for."""

    #: mean over the good steps, by name; NaN when there was none
    losses: dict[str, float]
    #: steps since they were last asked for
    steps: int
    #: steps of the whole run that were left out because loss or gradients were not finite
    skipped: int


class LossTotals:
    """Adds up ``LossParts`` step by step."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sums = torch.zeros(len(LOSSES), device=device)
        #: good steps since they were last asked for; bad ones of the run; bad ones in a row now; the longest row
        self._counts = torch.zeros(4, dtype=torch.int64, device=device)
        self._steps = 0

    def add(self, losses: Tensor, good: Tensor) -> None:
        """``losses`` (6,) float32; ``good`` 0-d bool, False when the step was left out."""
        ok = good.to(torch.int64)
        self._sums += torch.where(good, losses.float(), 0.0)
        row = (self._counts[2] + 1) * (1 - ok)
        longest = torch.maximum(self._counts[3], row)
        self._counts = torch.stack([self._counts[0] + ok, self._counts[1] + 1 - ok, row, longest])
        self._steps += 1

    def check(self) -> None:
        """Raises TrainingDiverged when too many steps in a row were no good. Waits for the device."""
        _, skipped, _, longest = self._counts.tolist()
        if longest >= _MOST_IN_A_ROW:
            raise TrainingDiverged(longest, skipped)

    def means(self, group: WorkerGroup) -> LossMeans:
        """The means over all workers, and start anew. Every worker must ask. Raises TrainingDiverged."""
        self.check()
        good, skipped, _, _ = self._counts.tolist()
        sums = group.average(self._sums)
        losses = {name: float(value) / good if good else float("nan") for name, value in zip(LOSSES, sums, strict=True)}
        means = LossMeans(losses=losses, steps=self._steps, skipped=skipped)
        self._sums.zero_()
        self._counts[0] = 0
        self._steps = 0
        return means

    def state(self) -> dict[str, Any]:
        """What outlives a resume: the number of steps left out."""
        return {"skipped": int(self._counts[1])}

    def load(self, state: dict[str, Any]) -> None:
        self._sums.zero_()
        self._counts = torch.tensor([0, int(state["skipped"]), 0, 0], device=self._device)
        self._steps = 0
