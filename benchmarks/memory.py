"""Memory of every process while one job is screened: does it stay flat?

`nclscreen screen` runs as users run it, on a local Ray, with a tiny model and tiny photographs to be quick.
Every two seconds the memory of all its processes is read (USS: what would be free if the process ended). The slope is
fitted from a fifth of the images on, when caches are warm.
Run: python benchmarks/memory.py [--images N] [--plot FILE.png] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests")]

KINDS = ("dispatcher", "shard workers", "model replica", "Ray itself")
WARM_SHARE = 0.2
SAMPLE_S = 2.0
MB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look at all processes."""

    images: int
    #: MB of USS, summed over the processes of a kind
    uss: dict[str, float]
    #: MB of the largest process of a kind
    largest: dict[str, float]


def write_corpus(folder: Path, images: int) -> None:
    """Small JPEG files, all different: a trailer behind the image, which no decoder reads."""
    models = []
    for seed in range(50):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((96, 64)).save(buffer, format="JPEG")
        models.append(buffer.getvalue())
    for number in range(images):
        if number % 1000 == 0:
            (folder / f"{number // 1000:04d}").mkdir(parents=True)
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.jpg"
        path.write_bytes(models[number % len(models)] + number.to_bytes(8, "big"))


def kind_of(title: str) -> str:
    if title.startswith("ray::ServeReplica:localizer"):
        return "model replica"
    if title.startswith(("ray::ScreeningWorker", "ray::screen_shard", "ray::IDLE", "ray::Shard")):
        return "shard workers"
    if "nclscreen.cli" in title:
        return "dispatcher"
    return "Ray itself"


def look(home: str, images: int) -> Sample:
    uss: dict[str, float] = defaultdict(float)
    largest: dict[str, float] = defaultdict(float)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("NCLSCREEN_HOME") != home or process.pid == os.getpid():
                continue
            kind, used = kind_of(" ".join(process.cmdline())), process.memory_full_info().uss / MB
            uss[kind] += used
            largest[kind] = max(largest[kind], used)
    return Sample(images=images, uss=dict(uss), largest=dict(largest))


def watch(images: int) -> Iterator[Sample]:
    """Screen so many images; a sample every two seconds, from the first verdict to the last."""
    from support.tiny_model import save_tiny_model

    from jobs.domain.states import JobState
    from jobs.lifecycle.job_store import JobStore
    from jobs.sql.database import create_database_engine

    with tempfile.TemporaryDirectory(prefix="nclmemory-") as folder:
        corpus, home = Path(folder) / "corpus", Path(folder) / "home"
        write_corpus(corpus, images)
        env = {name: value for name, value in os.environ.items() if not name.startswith("NCLSCREEN_")}
        env |= {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
            "NCLSCREEN_HOME": str(home),
            "NCLSCREEN_WEIGHTS": str(save_tiny_model(Path(folder) / "tiny.safetensors")),
            "NCLSCREEN_REPLICA_THREADS": "1",
            "NCLSCREEN_BATCH_SIZE": "32",
        }
        command = [sys.executable, "-c", "from nclscreen.cli import main; main()", "screen", str(corpus), "--json"]
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as program:
            database = home / "nclscreen.sqlite"
            while not database.exists() and program.poll() is None:
                time.sleep(SAMPLE_S)
            time.sleep(SAMPLE_S)  # until its tables are there
            engine = create_database_engine(f"sqlite:///{database}")
            try:
                while program.poll() is None:
                    newest = JobStore(engine).latest(1)
                    if newest and newest[0].counts.done and newest[0].state is JobState.RUNNING:  # not while it ends
                        yield look(str(home), newest[0].counts.done)
                    time.sleep(SAMPLE_S)
            finally:
                engine.dispose()
                program.terminate()
        if program.returncode != 0:
            raise SystemExit(f"screening ended with {program.returncode}")


def slope(samples: Sequence[Sample], kind: str, images: int) -> float:
    """MB per 10,000 images, once warm."""
    warm = [sample for sample in samples if sample.images >= WARM_SHARE * images and kind in sample.uss]
    if len({sample.images for sample in warm}) < 2:
        return float("nan")
    return float(np.polyfit([s.images for s in warm], [s.uss[kind] for s in warm], 1)[0] * 10_000)


def at(samples: Sequence[Sample], kind: str, done: float) -> float:
    nearest = min(samples, key=lambda sample: abs(sample.images - done))
    return nearest.uss.get(kind, float("nan"))


def plot(samples: Sequence[Sample], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for kind in KINDS:
        shown = [(sample.images, sample.uss[kind]) for sample in samples if kind in sample.uss]
        if shown:
            axes.plot(*zip(*shown, strict=True), label=kind)
    axes.set(xlabel="images with a verdict", ylabel="memory (USS), MB", ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--plot", type=Path, help="write a picture")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    samples = list(watch(arguments.images))
    rows = [
        {
            "kind": kind,
            "mb_warm": at(samples, kind, WARM_SHARE * arguments.images),
            "mb_half": at(samples, kind, 0.5 * arguments.images),
            "mb_end": at(samples, kind, arguments.images),
            "mb_largest": max(sample.largest.get(kind, 0.0) for sample in samples),
            "mb_per_10000_images": slope(samples, kind, arguments.images),
        }
        for kind in KINDS
    ]
    if arguments.plot:
        plot(samples, arguments.plot)
    if arguments.json:
        print(json.dumps({"images": arguments.images, "samples": len(samples), "rows": rows}))
        return
    print(f"{arguments.images:,} images, {len(samples)} samples; USS in MB, summed over the processes of a kind")
    print(f"{'':<15}{'at 20 %':>9}{'at 50 %':>9}{'at end':>9}{'largest':>9}{'per 10,000 images':>19}")
    for row in rows:
        print(
            f"{row['kind']:<15}{row['mb_warm']:>9.0f}{row['mb_half']:>9.0f}{row['mb_end']:>9.0f}"
            f"{row['mb_largest']:>9.0f}{row['mb_per_10000_images']:>+19.1f}"
        )


if __name__ == "__main__":
    main()
