"""bfloat16 against float32: ``python -m ncl_model.precision --data index.csv``.

Prints images per second of both at one canvas size and how far scores and maps move.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ncl_model.datasets import read_index
from ncl_model.predictor import Predictor


def images_per_s(predictor: Predictor, side: int, *, images: int) -> float:
    """Forward passes of one (side, side) canvas after the other, noise as content, one left out to warm up."""
    canvas = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    predictor.predict(canvas)
    started = time.perf_counter()
    for _ in range(images):
        predictor.predict(canvas)
    return images / (time.perf_counter() - started)


def compare(exact: Predictor, half: Predictor, files: Sequence[Path]) -> dict[str, float]:
    """Mean and largest difference of the scores, and the mean difference of the heatmaps (in 0-1), over files."""
    scores, maps = [], []
    for file in files:
        image = exact.decode(file.read_bytes())
        (a,), (b,) = exact.localize([image]), half.localize([image])
        scores.append(abs(a.score - b.score))
        maps.append(np.abs(a.heatmap.astype(int) - b.heatmap.astype(int)).mean() / 255)
    return {
        "score_difference_mean": float(np.mean(scores)),
        "score_difference_max": float(np.max(scores)),
        "map_difference_mean": float(np.mean(maps)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m ncl_model.precision", description=__doc__)
    parser.add_argument("--weights", type=Path, help="safetensors file (default: the shipped weights)")
    parser.add_argument("--data", type=Path, required=True, help="index.csv whose images are compared")
    parser.add_argument("--side", type=int, default=512, help="canvas side for the speed, in pixels")
    parser.add_argument("--images", type=int, default=20, help="forward passes to time")
    parser.add_argument("--threads", type=int, help="torch threads")
    given = parser.parse_args(arguments)
    exact = Predictor.setup(given.weights, "float32", given.threads)
    half = Predictor.setup(given.weights, "bfloat16", given.threads)
    figures = {
        "float32_images_per_s": images_per_s(exact, given.side, images=given.images),
        "bfloat16_images_per_s": images_per_s(half, given.side, images=given.images),
        **compare(exact, half, [sample.image for sample in read_index(given.data)]),
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
