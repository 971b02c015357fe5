"""A worker that a batch has no share for: it counts the steps of the others, and is there when one of them is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ncl_model.training.batches import Batch
from ncl_model.training.loss_totals import LossTotals
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.trainer import Trainer
from ncl_model.training.worker_group import WorkerGroup


class LookingOn(Trainer):
    """In a trainer's place, without a network."""

    def __init__(self, recipe: TrainConfig, group: WorkerGroup) -> None:
        self.recipe = recipe
        self.group = group
        self.device = torch.device("cpu")
        self.totals = LossTotals(self.device)
        self.step = 0
        self.elapsed_s = 0.0

    def train_step(self, batch: Batch) -> None:
        self.step += 1

    def start_from(self, path: Path) -> tuple[str, ...]:
        return ()

    def load_state(self, state: Mapping[str, Any], path: object) -> None:
        self.step, self.elapsed_s = int(state["step"]), float(state["elapsed_s"])


def no_batches() -> Iterator[Batch]:
    """Batches without a sample, without end."""
    none = torch.empty(0)
    while True:
        yield Batch(pixels=none, truth=none, labels=none, views=none)
