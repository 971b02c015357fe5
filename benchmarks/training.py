"""Images per second of training on Ray Train, with 1 and 2 workers, against the same without Ray.

One worker is held against the bare loop in this process; two against two processes that torch.distributed alone holds
together, so that the ratio is what Ray costs, and not what sharing a batch costs. All take turns, several rounds in
one run of this program, so that whatever else the machine does meets all of them. A round trains for some seconds;
only steps after the first ones count. Photographs are made up.
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
import torch.distributed as dist
import torch.multiprocessing as mp
from PIL import Image

from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_log import read_metrics

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


def train_beside(rank: int, count: int, threads: int, recipe: TrainConfig, source: Path, out: Path) -> None:
    """One of ``count`` processes that train together without Ray."""
    from ncl_model.training.loading import Loading, batches
    from ncl_model.training.loop import Loop
    from ncl_model.training.plain import load_material
    from ncl_model.training.run_files import RunFiles
    from ncl_model.training.run_log import RunLog
    from ncl_model.training.run_recorder import RunRecorder
    from ncl_model.training.trainer import Trainer
    from ncl_model.training.worker_group import DistributedGroup

    torch.set_num_threads(threads)
    dist.init_process_group("gloo", init_method=f"file://{out}-meeting", rank=rank, world_size=count)
    device = torch.device("cpu")
    trainer = Trainer(recipe, device, DistributedGroup(device))
    material = load_material(recipe, [source], out, leave_out_bad=False)
    log = RunLog(out, step=0, tensorboard=False) if rank == 0 else None
    recorder = None if log is None else RunRecorder(RunFiles(out=out), log, material.validation, {})
    loading = Loading(processes=0, pinned=False, rank=rank, workers=count)
    Loop(trainer, recorder).run(batches(material, recipe, 0, loading))
    if log is not None:
        log.close()
    dist.destroy_process_group()


def measure(recipe: TrainConfig, source: Path, work: Path, rounds: int, cpus: int) -> dict[str, list[float]]:
    """Images per second of every round, by who trained."""
    from ncl_model.distributed.launch import Workers, train_on_ray
    from ncl_model.distributed.run_place import RunPlace
    from ncl_model.training.plain import Place, train
    from nclscreen.hosting.ray_connection import RayOptions, connected_ray

    def bare(out: Path) -> None:
        torch.set_num_threads(cpus)
        train(recipe, [source], out, Place(device="cpu", tensorboard=False))

    def on_ray(workers: int) -> Callable[[Path], None]:
        each = Workers(count=workers, cpus=max(1, cpus // workers))
        return lambda out: void(train_on_ray(recipe, [source], RunPlace(path=str(out)), each))

    def two_processes(out: Path) -> None:
        mp.spawn(train_beside, (2, max(1, cpus // 2), recipe, source, out), nprocs=2)

    ways = {
        "bare loop": bare,
        "Ray Train, 1 worker": on_ray(1),
        "torch.distributed, 2": two_processes,
        "Ray Train, 2 workers": on_ray(2),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    with connected_ray(RayOptions(address=None, needed_cpus=2 * cpus)):
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
        save_minutes=999.0, validate_minutes=999.0, synthetic=0.0, people=0.5, held_out=0.1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        found = measure(recipe, make_source(Path(work) / "set"), Path(work), arguments.rounds, arguments.cpus)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{recipe.name}: batch {recipe.batch_size}, {recipe.crop_size} px, {arguments.cpus} threads in all")
    against = {"Ray Train, 2 workers": "torch.distributed, 2"}
    print(f"{'':24} {'images/s':>9} {'of the bare loop, or of torch':>34} {'median':>8}")
    for name, speeds in found.items():
        ratios = [ours / theirs for ours, theirs in zip(speeds, found[against.get(name, "bare loop")], strict=True)]
        told = "  ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{name:24} {statistics.median(speeds):>9.2f} {told:>34} {statistics.median(ratios):>8.3f}")


if __name__ == "__main__":
    main()
