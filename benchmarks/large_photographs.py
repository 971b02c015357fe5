"""Photographs as large as phones take them: what is seen of edits, what it costs, and whether seeing less would do.

Camera originals of at least two megapixels are tampered with by program (splice, copy-move, retouch; seeds fixed) and
saved at JPEG 80 to 95, as are the untouched ones. One model judges them in several ways: everything scaled down to the
canvas first; the expert of traces at native size; and the expert of pixels at half size besides. Then a photograph of
12 megapixels and one of 1 are judged in each way: CPU-seconds of one thread by part, and the largest resident memory of
a process that does nothing else.
Run: python benchmarks/large_photographs.py --originals PATH [--weights FILE] [--precision NAME] [--limit N] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ncl_model.copy_move import find_copies
from ncl_model.data import edits
from ncl_model.data.datasets import read_source
from ncl_model.data.shapes import random_shape
from ncl_model.errors import NclModelError
from ncl_model.imaging.decoding import decode_photo
from ncl_model.imaging.encoding import jpeg_file
from ncl_model.inference.checkpoint import load_checkpoint, shipped_weights
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.processor import one_blas_thread
from ncl_model.metrics import auc, pixel_f1

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
#: what of the config each way changes; the last is the model as it is
WAYS: dict[str, dict[str, int]] = {
    "scaled down first": {"native_blocks": 0, "halved_above": 0},
    "traces at native size": {"halved_above": 0},
    "as it is": {},
}
UNTOUCHED = "untouched"
EDITS = (UNTOUCHED, "splice", "copy-move", "retouch")
LEAST_PIXELS = 2_000_000
LARGE = 8_000_000
COST_SIZE = (4000, 3000)


def predictor_of(weights: Path, way: str, precision: str) -> Predictor:
    checkpoint = load_checkpoint(weights)
    changed = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, **WAYS[way]))
    return Predictor(changed.build(weights), changed, precision)  # type: ignore[arg-type]


def pictures(photos: list[Pixels]) -> Iterator[tuple[str, int, bytes, Mask]]:
    """Edit, number of pixels, file, and where it was tampered with."""
    for number, host in enumerate(photos):
        rng = np.random.default_rng([11, number])
        donor = photos[(number + 1) % len(photos)]
        for edit in EDITS:
            pixels, mask = edited(edit, host, donor, rng)
            yield edit, mask.size, jpeg_file(pixels, int(rng.integers(80, 96))), mask


def edited(edit: str, host: Pixels, donor: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    side = min(host.shape[:2]) // 3
    if edit == "splice":
        return edits.splice(host, donor, _within(donor, side, rng), rng)
    if edit == "copy-move":
        return edits.copy_move(host, random_shape(rng, side), rng)
    if edit == "retouch":
        return edits.retouch(host, random_shape(rng, side), edits.draw_operation(rng), rng)
    return host, np.zeros(host.shape[:2], np.bool_)


def _within(donor: Pixels, side: int, rng: np.random.Generator) -> Mask:
    """A shape somewhere on the donor."""
    shape = random_shape(rng, min(side, *donor.shape[:2]))
    found = np.zeros(donor.shape[:2], np.bool_)
    top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(found.shape, shape.shape, strict=True))
    found[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
    return found


def accuracy(photos: list[Pixels], weights: Path, precision: str) -> dict[str, dict[str, Any]]:
    """By way and by size of the photograph: pixel AUC and F1 of what was tampered with, AUC of the scores."""
    judges = {way: predictor_of(weights, way, precision) for way in WAYS}
    rows: dict[tuple[str, str], list[tuple[str, float, float, float]]] = defaultdict(list)
    for edit, count, data, mask in pictures(photos):
        for way, judge in judges.items():
            (found,) = judge.localize([judge.decode(data)])
            height, width = found.heatmap.shape
            truth = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
            probabilities = found.heatmap / 255.0
            row = (edit, auc(probabilities, truth), pixel_f1(probabilities, truth), found.score)
            for size in ("all", "8 megapixels and more" if count >= LARGE else "2 to 8 megapixels"):
                rows[way, size].append(row)
    return {f"{way}, {size}": figures(each) for (way, size), each in sorted(rows.items(), key=lambda item: item[0][1])}


def figures(rows: list[tuple[str, float, float, float]]) -> dict[str, Any]:
    tampered = [row for row in rows if row[0] != UNTOUCHED]
    scores = np.array([row[3] for row in rows])
    return {
        "tampered": len(tampered),
        "untouched": len(rows) - len(tampered),
        "pixel AUC": float(np.nanmean([row[1] for row in tampered])),
        "pixel F1": float(np.mean([row[2] for row in tampered])),
        "image AUC": auc(scores, np.array([row[0] != UNTOUCHED for row in rows])),
    }


_T = TypeVar("_T")


def clocked(work: Callable[[], _T]) -> tuple[float, _T]:
    """CPU-seconds, the lesser of two runs."""
    spent = []
    for _ in range(2):
        began = time.process_time()
        result = work()
        spent.append(time.process_time() - began)
    return min(spent), result


def judge_once(file: Path, weights: Path, way: str, precision: str) -> dict[str, float]:
    """In this process alone: CPU-seconds by part and the peak of memory."""
    torch.set_num_threads(1)
    one_blas_thread()
    judge = predictor_of(weights, way, precision)
    data = file.read_bytes()
    decode, image = clocked(lambda: judge.decode(data))
    batch, sizes = image.pixels[None], [(image.valid_height, image.valid_width)]
    network, _ = clocked(lambda: judge.ask(batch, sizes, [image.blocks]))
    copies, _ = clocked(lambda: find_copies(image.pixels, judge.config.copy_move) if judge.config.copy_move else None)
    return {"decode": decode, "network": network, "copies": copies, "peak MB": peak_mb()}


def peak_mb() -> float:
    """Largest resident memory of this process; unlike `ru_maxrss` it knows nothing of whoever started it (Linux)."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def costs(photo: Pixels, weights: Path, precision: str) -> dict[str, dict[str, float]]:
    """By way, of a photograph of 12 megapixels and of one of 1 megapixel, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("12 MP", COST_SIZE), ("1 MP", (1152, 864))):
            file = Path(folder) / f"{name[:2].strip()}.jpg"
            file.write_bytes(jpeg_file(np.asarray(Image.fromarray(photo).resize(size)), 90))
            for way in WAYS:
                command = [sys.executable, __file__, "--once", str(file), way, "--weights", str(weights)]
                command += ["--precision", precision]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[f"{way}, {name}"] = json.loads(done.stdout)
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    columns = list(next(iter(rows.values())))
    lines = [f"{'':46s}" + "".join(f"{column:>11s}" for column in columns)]
    for name, row in rows.items():
        cells = (f"{v:>11.3f}" if isinstance(v, float) and v < 100 else f"{v:>11.0f}" for v in row.values())
        lines.append(f"{name:46s}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--originals", type=Path, help="authentic photographs from cameras, an index.csv or a folder")
    parser.add_argument("--weights", type=Path, default=shipped_weights())
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--limit", type=int, help="so many photographs at most")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--once", nargs=2, metavar=("FILE", "WAY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(judge_once(Path(given.once[0]), given.weights, given.once[1], given.precision)))
        return
    if given.originals is None:
        print("left out: it needs photographs from cameras (--originals PATH); none come with the package")
        return
    if not given.weights.is_file():
        parser.error(f"--weights: no such file: {given.weights}")
    try:
        sources = read_source(given.originals)
    except NclModelError as error:
        parser.error(f"--originals: {error}")
    photos = []
    for sample in sources:
        with Image.open(sample.image) as image:
            large = image.width * image.height >= LEAST_PIXELS
        if large:
            photos.append(decode_photo(sample.image.read_bytes()))
    photos = photos[: given.limit]
    seen = accuracy(photos, given.weights, given.precision)
    spent = costs(max(photos, key=lambda photo: photo.size), given.weights, given.precision)
    if given.json:
        print(json.dumps({"photographs": len(photos), "accuracy": seen, "cost": spent}, indent=2))
        return
    print(f"photographs: {len(photos)}; {given.precision}\n")
    print(table(seen))
    print("\nCPU-seconds of one thread, and the peak of memory\n")
    print(table(spent))


if __name__ == "__main__":
    main()
