"""The plain training loop, resumable: ``python -m ncl_model.training --data ROOT --out DIR --minutes N``.

One process. ``DIR`` receives ``state.pt`` (to go on from), ``weights.safetensors`` (to predict with) and
``log.jsonl``. Starting again with the same ``DIR`` goes on where the last saved state ended.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor

from ncl_model.batches import Material, make_batch
from ncl_model.checkpoint import load_checkpoint
from ncl_model.evaluation import evaluate
from ncl_model.predictor import Predictor
from ncl_model.recipe import TrainConfig
from ncl_model.trainer import Trainer

#: batches prepared ahead of the step that needs them
_AHEAD = 4
#: seconds of training between two lines of the log
_LOG_S = 20


def train(recipe: TrainConfig, data: Path, out: Path) -> Path:
    """Train until the recipe's minutes are used up; returns the path of the weights.

    ``data`` is laid out as ``datasets.training_split`` says. A run that is already finished is left as it is.
    Raises DatasetInvalid without the data, FloatingPointError when the loss is no longer finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, out)
    resumed = trainer.resume()
    _log(out, event="start", resumed=resumed, recipe=recipe.to_dict())
    if trainer.progress < 1.0:
        material = Material.load(data, held_out=recipe.held_out, seed=recipe.seed)
        _run(trainer, material)
    return out / "weights.safetensors"


def _run(trainer: Trainer, material: Material) -> None:
    recipe, out, provenance = trainer.recipe, trainer.out, _provenance(material)
    _log(out, event="material", **provenance)
    metrics: dict[str, Any] = {}
    saved = validated = logged = trainer.elapsed_s
    losses: list[float] = []
    for pixels, masks in _batches(material, recipe, trainer.step):
        losses.append(trainer.train_step(pixels, masks))
        now, done = trainer.elapsed_s, trainer.progress >= 1.0
        if now - logged >= _LOG_S or done:
            speed = recipe.batch * len(losses) / max(now - logged, 1e-9)
            loss = sum(losses) / len(losses)
            _log(out, step=trainer.step, loss=loss, images_per_s=speed, progress=trainer.progress)
            logged, losses = now, []
        if now - saved >= 60 * recipe.save_minutes or done:
            weights, saved = trainer.save(metrics, provenance), now
            if now - validated >= 60 * recipe.validate_minutes or done:
                metrics, validated = _validate(weights, material), now
                _log(out, event="validation", step=trainer.step, **metrics["validation"])
                trainer.save(metrics, provenance)
        if done:
            break


def _validate(weights: Path, material: Material) -> dict[str, Any]:
    """Figures of the weights as saved, so of what would be shipped, on the held-out images."""
    checkpoint = load_checkpoint(weights)
    predictor = Predictor(checkpoint.build(weights), checkpoint, "float32")
    return {"validation": dataclasses.asdict(evaluate(predictor, material.validation))}


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
