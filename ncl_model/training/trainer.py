"""One training run in memory: network, optimizer, averaged weights, progress; its state can be saved and taken up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncl_model.architecture.registry import Network
from ncl_model.errors import CheckpointMismatch, ConfigInvalid
from ncl_model.inference.checkpoint import Checkpoint, pack_weights
from ncl_model.training.batch_norm_guard import BatchNormGuard
from ncl_model.training.batches import Batch
from ncl_model.training.devices import check_precision, precision_on, tune
from ncl_model.training.loss_totals import LossTotals
from ncl_model.training.optimization import learning_rate, make_optimizer, set_learning_rate
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.training_module import TrainingModule
from ncl_model.training.warm_start import adopt
from ncl_model.training.worker_group import WorkerGroup

#: written into every state; a reader refuses what it does not know
_FORMAT = 4
#: scale of float16's gradients at the start (torch's default); other types need none
_FLOAT16_SCALE = 2.0**16
#: parts of a recipe that a saved state must share
_FIXED = ("network", "loss", "optimizer")


class Trainer:
    """Everything a step changes. Equal recipe, batches and number of workers give equal steps."""

    def __init__(
        self, recipe: TrainConfig, device: torch.device | None = None, group: WorkerGroup | None = None
    ) -> None:
        """Raises ConfigInvalid when the device or the number of workers cannot do what the recipe says."""
        self.recipe = recipe
        self.device = device or torch.device("cpu")
        self.group = group or WorkerGroup()
        check_precision(recipe, self.device)
        _check_shares(recipe, self.group)
        tune(self.device)
        torch.manual_seed(recipe.seed)
        #: what it is computed in, as the device has it
        self.precision = precision_on(recipe, self.device)
        self._module = TrainingModule(recipe, self.group.average, self.precision).to(self.device)
        self.network: Network = self._module.network
        unused = recipe.loss.stages == "last" or recipe.loss.contrast == "pivot"
        self._wrapped = self.group.wrap(self._module, sync_batch_norm=recipe.sync_batch_norm, find_unused=unused)
        self._parameters = list(self._module.parameters())
        self.optimizer = make_optimizer(recipe, self._module)
        self._half = self.precision == "float16"
        self._scaler = torch.amp.GradScaler(self.device.type, init_scale=_FLOAT16_SCALE if self._half else 1.0)
        self._guard = BatchNormGuard(self._module)
        self.totals = LossTotals(self.device)
        self.average = {n: t.detach().clone() for n, t in self._floats().items()}
        #: optimizer steps done, those that were left out included; also the number of the next batch
        self.step = 0
        #: wall time of training so far, kept by the loop
        self.elapsed_s = 0.0
        #: learning rate of the last step
        self.rate = 0.0

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the recipe's minutes or steps are used up."""
        if self.recipe.steps is not None:
            return min(1.0, self.step / self.recipe.steps)
        return min(1.0, self.elapsed_s / (60.0 * (self.recipe.minutes or 1.0)))

    @property
    def finished(self) -> bool:
        return self.progress >= 1.0

    def train_step(self, batch: Batch) -> None:
        """One optimizer step on this worker's share of a batch.

        A step whose gradients are not finite changes nothing but the counters, and ``totals`` tells of it.
        """
        # whatever draws random numbers draws the same after a resume
        torch.manual_seed(self.recipe.seed + self.step)
        self.rate = learning_rate(self.recipe, self.step, self.progress)
        set_learning_rate(self.optimizer, self.rate)
        self._guard.remember()
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._accumulate(batch)
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._parameters, self.recipe.max_grad_norm)
        finite = torch.isfinite(norm)
        self._scaler.step(self.optimizer)
        # only float16 needs a scale; for the others the scaler is what leaves a bad step out without a wait
        self._scaler.update(None if self._half else 1.0)
        self._guard.undo_unless(finite)
        self.totals.add(losses, finite)
        self.step += 1
        if self.group.leads:
            self._update_average()

    def start_from(self, path: Path) -> tuple[str, ...]:
        """Begin with the weights of a safetensors file, as ``warm_start.adopt`` says; gives what has grown since.

        Pivot and optimizer start anew. Raises the errors of ``adopt``.
        """
        grown = adopt(self.network.state_dict(), path)
        self.average = {n: t.detach().clone() for n, t in self._floats().items()}
        return grown

    def checkpoint(self, metrics: Mapping[str, Any], provenance: Mapping[str, Any]) -> Checkpoint:
        """The averaged weights as they are now, to predict with."""
        return Checkpoint(
            config=self.recipe.network,
            weights=pack_weights(self.average),
            name=self.recipe.name,
            version=f"step{self.step}",
            metrics=metrics,
            provenance={
                **provenance,
                "recipe": self.recipe.to_dict(),
                "steps": self.step,
                "samples": self.step * self.recipe.batch_size,
                "elapsed_s": round(self.elapsed_s, 1),
            },
        )

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly: tensors and plain values, readable without unpickling code."""
        return {
            "format": _FORMAT,
            "recipe": self.recipe.to_dict(),
            "module": self._module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self.average,
            "totals": self.totals.state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }

    def load_state(self, state: Mapping[str, Any], path: object) -> None:
        """Go on from what ``state`` gave; ``path`` is named in the error.

        Raises CheckpointMismatch when it belongs to another network, loss or optimizer.
        """
        remedy = "Go on with the recipe it was started with, or start anew in another folder"
        if state.get("format") != _FORMAT:
            raise CheckpointMismatch(path, "it was saved by another version of the training loop", remedy)
        ours, theirs = self.recipe.to_dict(), _as_now(state.get("recipe", {}))
        for part in _FIXED:
            if theirs.get(part) != ours[part]:
                raise CheckpointMismatch(path, f"its recipe has another {part}", remedy)
        self._module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.average = {n: t.to(self.device) for n, t in state["average"].items()}
        self.totals.load(state["totals"])
        self.step, self.elapsed_s = int(state["step"]), float(state["elapsed_s"])

    def _accumulate(self, batch: Batch) -> Tensor:
        """Gradients of the batch, part by part; (6,) the mean of ``LossParts``."""
        parts = batch.parts(self.recipe.grad_accum_steps)
        losses = []
        for part in parts[:-1]:
            with self.group.quiet(self._wrapped):
                losses.append(self._backward(part))
        losses.append(self._backward(parts[-1]))
        return torch.stack(losses).mean(0)

    def _backward(self, part: Batch) -> Tensor:
        pixels = part.pixels.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        truth, labels, views = (
            each.to(self.device, non_blocking=True) for each in (part.truth, part.labels, part.views)
        )
        loss = self._wrapped(pixels, truth, labels, views, self.step, part.grids)
        self._scaler.scale(loss[0] / self.recipe.grad_accum_steps).backward()
        return torch.stack([each.detach() for each in loss])

    def _floats(self) -> dict[str, Tensor]:
        return {n: t for n, t in self.network.state_dict().items() if t.is_floating_point()}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        update = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        update(list(self.average.values()), list(self._floats().values()), self.step)


def _as_now(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the fields that it had not when it was saved."""
    try:
        return TrainConfig.from_dict(recipe).to_dict()
    except ConfigInvalid:
        return recipe


def _check_shares(recipe: TrainConfig, group: WorkerGroup) -> None:
    parts = group.size * recipe.grad_accum_steps
    if recipe.batch_size % parts:
        workers = f"{group.size} workers" if group.size > 1 else "one worker"
        raise ConfigInvalid(
            "batch_size",
            f"{recipe.batch_size} cannot be shared by {workers} in {parts // group.size} parts each; take a multiple",
        )
