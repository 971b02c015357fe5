"""Images per second of training on Ray Train, with 1 and 2 workers, against the bare loop in this process.

The three take turns, several rounds in one run of this program, so that whatever else the machine does meets all of
them. A round trains for some seconds; only steps after the first ones count. Photographs are made up.
Run: python benchmarks/training.py [--seconds 20] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ncl_model.recipe import TrainConfig
from ncl_model.run_log import read_metrics

#: rows of the metrics at the start of a round that do not count: kernels are chosen, queues are filled
_WARM_UP_ROWS = 1


def make_source(folder: Path, images: int = 24) -> Path:
    """Photographs of smooth noise, half of them with a rectangle of another noise and its mask."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["image,mask,group"]
    for number in range(images):
        coarse = rng.integers(0, 256, (12, 18, 3), dtype=np.uint8)
        pixels = np.array(Image.fromarray(coarse).resize((384, 256), Image.Resampling.BICUBIC))
        mask = np.zeros((256, 384), np.uint8)
        if number % 2:
            pixels[64:160, 96:224] = rng.integers(0, 256, (96, 128, 3))
            mask[64:160, 96:224] = 255
            Image.fromarray(mask).save(folder / f"{number}.png")
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=92)
        lines.append(f"{number}.jpg,{f'{number}.png' if number % 2 else ''},{number}")
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


def speed(out: Path) -> float:
    """Images per second over the steps of a run that count."""
    rows = [row for row in read_metrics(out / "metrics.csv") if "loss" in row]
    first, last = rows[_WARM_UP_ROWS - 1], rows[-1]
    return (last["samples"] - first["samples"]) / (last["elapsed_s"] - first["elapsed_s"])


def measure(recipe: TrainConfig, source: Path, work: Path, rounds: int, cpus: int) -> dict[str, list[float]]:
    """Images per second of every round, by who trained."""
    from ncl_model.distributed import Workers, train_on_ray
    from ncl_model.run_place import RunPlace
    from ncl_model.training import Place, train
    from nclscreen.runtime import RuntimeOptions, connected_ray

    def bare(out: Path) -> None:
        torch.set_num_threads(cpus)
        train(recipe, [source], out, Place(device="cpu", tensorboard=False))

    def on_ray(workers: int) -> Callable[[Path], None]:
        each = Workers(count=workers, cpus=max(1, cpus // workers))
        return lambda out: void(train_on_ray(recipe, [source], RunPlace(path=str(out)), each))

    ways = {"bare loop": bare, "Ray Train, 1 worker": on_ray(1), "Ray Train, 2 workers": on_ray(2)}
    found: dict[str, list[float]] = {name: [] for name in ways}
    with connected_ray(RuntimeOptions(address=None, needed_cpus=2 * cpus)):
        for number in range(rounds):
            order = list(ways) if number % 2 == 0 else list(ways)[::-1]  # nobody always goes first
            for name in order:
                out = work / f"{number}-{name}"
                ways[name](out)
                found[name].append(speed(out))
    return found


def void(result: object) -> None:
    """Forget a result."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="small", help="recipe whose network and batch are trained")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=len(os.sched_getaffinity(0)), help="threads, over all workers")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    recipe = replace(
        TrainConfig.load(arguments.config),
        minutes=arguments.seconds / 60, steps=None, log_s=arguments.seconds / 8,
        save_minutes=999.0, validate_minutes=999.0, synthetic=0.0, people=0.5, resaved=0.0, held_out=0.1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        found = measure(recipe, make_source(Path(work) / "set"), Path(work), arguments.rounds, arguments.cpus)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{recipe.name}: batch {recipe.batch}, {recipe.size} px, {arguments.cpus} threads in all")
    print(f"{'':24} {'images/s':>9} {'of the bare loop, round by round':>34} {'median':>8}")
    for name, speeds in found.items():
        ratios = [ours / theirs for ours, theirs in zip(speeds, found["bare loop"], strict=True)]
        told = "  ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{name:24} {statistics.median(speeds):>9.2f} {told:>34} {statistics.median(ratios):>8.3f}")


if __name__ == "__main__":
    main()
