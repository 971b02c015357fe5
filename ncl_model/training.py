"""The plain training loop, resumable: ``python -m ncl_model.training --data ROOT --out DIR --minutes N``.

One process. ``DIR`` receives ``state.pt`` (to go on from), ``weights.safetensors`` (to predict with) and
``log.jsonl``. Starting again with the same ``DIR`` goes on where the last saved state ended.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncl_model.batches import Material, make_batch
from ncl_model.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint
from ncl_model.evaluation import evaluate
from ncl_model.losses import pivot_consistent_loss
from ncl_model.network import NclNetwork, channels_last
from ncl_model.predictor import Predictor
from ncl_model.recipe import TrainConfig

#: batches prepared ahead of the step that needs them
_AHEAD = 4


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


def train(recipe: TrainConfig, data: Path, out: Path) -> Path:
    """Train until the recipe's minutes are used up; returns the path of the weights.

    ``data`` is laid out as ``batches.Material`` says. Raises DatasetInvalid without it.
    """
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, out)
    resumed = trainer.resume()
    _log(out, event="start", resumed=resumed, recipe=recipe.to_dict())
    material = Material.load(data, held_out=recipe.held_out, seed=recipe.seed)
    provenance = _provenance(material)
    _log(out, event="material", **provenance)
    metrics: dict[str, Any] = {}
    saved = validated = logged = trainer.elapsed_s
    losses: list[float] = []
    for pixels, masks in _batches(material, recipe, trainer.step):
        losses.append(trainer.train_step(pixels, masks))
        now, done = trainer.elapsed_s, trainer.progress >= 1.0
        if now - logged >= 20 or done:
            speed = recipe.batch * len(losses) / max(now - logged, 1e-9)
            loss = sum(losses) / len(losses)
            _log(out, step=trainer.step, loss=loss, images_per_s=speed, progress=trainer.progress)
            logged, losses = now, []
        if now - saved >= 60 * recipe.save_minutes or done:
            weights, saved = trainer.save(metrics, provenance), now
            if now - validated >= 60 * recipe.validate_minutes or done:
                checkpoint = load_checkpoint(weights)
                predictor = Predictor(checkpoint.build(weights), checkpoint, "float32")
                metrics = {"validation": dataclasses.asdict(evaluate(predictor, material.validation))}
                _log(out, event="validation", step=trainer.step, **metrics["validation"])
                weights, validated = trainer.save(metrics, provenance), now
        if done:
            break
    return out / "weights.safetensors"


def _batches(material: Material, recipe: TrainConfig, first: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from number ``first`` on, made in a thread while the step before runs."""
    with ThreadPoolExecutor(1) as pool:
        ahead: list[Future[tuple[Tensor, Tensor]]] = []
        number = first
        try:
            while True:
                while len(ahead) < _AHEAD:
                    ahead.append(pool.submit(make_batch, material, recipe, number))
                    number += 1
                yield ahead.pop(0).result()
        finally:
            for future in ahead:
                future.cancel()


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on kernels only; biases and batch norm are left free."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def _provenance(material: Material) -> dict[str, Any]:
    return {
        "data": "casia1/train (people), bsds500 and imagenet_sample (synthetic and authentic)",
        "tampered": len(material.tampered),
        "authentic": len(material.authentic),
        "shapes": len(material.shapes),
        "validation": len(material.validation),
    }


def _log(out: Path, **values: object) -> None:
    line = json.dumps({"time": time.strftime("%H:%M:%S"), **values})
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m ncl_model.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds casia1/ and authentic/")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--minutes", type=float, help="wall time of training (default: the recipe's)")
    parser.add_argument("--config", type=Path, help="JSON recipe (default: the preview's)")
    given = parser.parse_args(arguments)
    recipe = TrainConfig.from_file(given.config) if given.config else TrainConfig()
    if given.minutes:
        recipe = dataclasses.replace(recipe, minutes=given.minutes)
    train(recipe, given.data, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
