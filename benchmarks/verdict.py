"""What a verdict costs: CPU-seconds of one thread for a photograph, from file to score, by model and precision.

The demo's photographs with their long side at --side pixels, saved at JPEG 90. All models take turns, photograph by
photograph; the least of the rounds counts, by photograph. "times" is against the first model in float32. bfloat16 is
left out where the processor cannot multiply it.
Run: python benchmarks/verdict.py [--weights FILE ...] [--side N] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ncl_model.imaging.encoding import jpeg_file
from ncl_model.inference.checkpoint import shipped_weights
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.processor import has_fast_bfloat16
from nclscreen.demo.photographs import load_photographs

ALL_SHIPPED = sorted(shipped_weights().parent.glob("*.safetensors"), reverse=True)


def files(side: int) -> list[bytes]:
    made = []
    for photo in load_photographs().values():
        factor = side / max(photo.size)
        size = round(photo.width * factor), round(photo.height * factor)
        made.append(jpeg_file(np.asarray(photo.resize(size, Image.Resampling.BICUBIC)), 90))
    return made


def measured(weights: list[Path], side: int, rounds: int) -> dict[str, dict[str, float]]:
    precisions = ["float32", "bfloat16"] if has_fast_bfloat16() else ["float32"]
    judges = {}
    for path in weights:
        for precision in precisions:
            judge = Predictor.setup(path, precision=precision, threads=1)  # type: ignore[arg-type]
            judges[f"{judge.name} {judge.version}, {precision}"] = judge
    photos = files(side)
    spent = {name: np.full(len(photos), np.inf) for name in judges}
    for _ in range(rounds):
        for number, data in enumerate(photos):
            for name, judge in judges.items():
                began = time.process_time()
                judge.localize([judge.decode(data)])
                spent[name][number] = min(spent[name][number], time.process_time() - began)
    first = next(iter(spent.values())).mean()
    return {
        name: {"CPU s": float(each.mean()), "worst": float(each.max()), "times": float(first / each.mean())}
        for name, each in spent.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="*", default=ALL_SHIPPED)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if missing := [str(path) for path in given.weights if not path.is_file()]:
        parser.error(f"--weights: no such file: {', '.join(missing)}")
    rows = measured(given.weights, given.side, given.rounds)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':28s}{'CPU s':>8s}{'worst':>8s}{'times':>8s}")
    for name, row in rows.items():
        print(f"{name:28s}{row['CPU s']:>8.3f}{row['worst']:>8.3f}{row['times']:>8.2f}")


if __name__ == "__main__":
    main()
