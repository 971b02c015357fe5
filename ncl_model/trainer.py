"""One training run in memory: network, optimizer, averaged weights, clock; saved and taken up again as a whole."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncl_model.checkpoint import Checkpoint, pack_weights, save_checkpoint
from ncl_model.losses import pivot_consistent_loss
from ncl_model.network import NclNetwork, channels_last
from ncl_model.recipe import TrainConfig


class Trainer:
    """Network, optimizer, averaged weights and the clock of one run."""

    def __init__(self, recipe: TrainConfig, out: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.out = out
        self.network = channels_last(NclNetwork(recipe.network)).train()
        self.optimizer = torch.optim.AdamW(_groups(self.network, recipe.weight_decay), lr=recipe.learning_rate)
        self.average = {name: t.detach().clone().float() for name, t in self.network.state_dict().items()}
        self.step = 0
        self.elapsed_s = 0.0

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the recipe's minutes are used up."""
        return min(1.0, self.elapsed_s / (60.0 * self.recipe.minutes))

    def train_step(self, pixels: Tensor, masks: Tensor) -> float:
        """One optimizer step; returns the loss. Raises FloatingPointError when it is not finite."""
        started = time.monotonic()
        rate = learning_rate(self.recipe, self.step, self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            logits = self.network(pixels).logits
        loss = pivot_consistent_loss(logits, masks, mu=self.recipe.mu)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        self.elapsed_s += time.monotonic() - started
        return value

    def save(self, metrics: dict[str, Any], provenance: dict[str, Any]) -> Path:
        """Write the state to go on from, and the averaged weights; returns the weights' path."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        partial = self.out / "state.pt.partial"
        torch.save(state, partial)
        partial.replace(self.out / "state.pt")
        weights = self.out / "weights.safetensors"
        recipe = self.recipe.to_dict()
        checkpoint = Checkpoint(
            config=self.recipe.network,
            weights=pack_weights(self.average),
            name="preview",
            version=f"step{self.step}",
            metrics=metrics,
            provenance={**provenance, "recipe": recipe, "steps": self.step, "elapsed_s": self.elapsed_s},
        )
        save_checkpoint(weights, checkpoint)
        return weights

    def resume(self) -> bool:
        """Take up ``state.pt`` if there is one."""
        path = self.out / "state.pt"
        if not path.is_file():
            return False
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        return True

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, tensor in self.network.state_dict().items():
            self.average[name].lerp_(tensor.float(), 1 - decay)


def learning_rate(recipe: TrainConfig, step: int, progress: float) -> float:
    """Linear warm-up over steps, then a cosine over the run's wall time, down to a hundredth."""
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    return recipe.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on kernels only; biases and batch norm are left free."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
