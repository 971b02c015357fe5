"""What the search for copied regions costs, and what it finds among photographs whose truth is known.

Without --data: CPU-seconds an image at 1024 and 512 pixels on the long side, on the demo's photographs, authentic and
with a copied region; and the demo itself (docs/demo.md). With --data (an index.csv, a folder that holds one, a
published layout, a folder of authentic photographs; again and again): recall on tampered photographs and false alarms
on authentic ones at the loose and the strict level, and image AUC of the statistic. CASIA's names say which tampered
photographs are copies of their own (S) and which are splices (D): they are told apart. --history saves every photograph
once more before the search: jpeg85, jpeg70, jpeg50, resize78 (x .78 and JPEG 85).
Run: python benchmarks/copy_move.py [--data PATH ...] [--history NAME ...] [--limit N] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.copy_move import CopyMoveConfig, find_copies
from ncl_model.data.datasets import read_source
from ncl_model.imaging.decoding import decode_photo
from ncl_model.metrics import auc, recall_at_fpr
from nclscreen.demo import build_demo_corpus
from nclscreen.demo.photographs import load_photographs

Pixels = NDArray[np.uint8]
CONFIG = CopyMoveConfig()
AUTHENTIC = "authentic"


def as_jpeg(photo: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as stored:
        return stored.convert("RGB")


def resized(photo: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(photo.width * factor)), max(1, round(photo.height * factor))
    return photo.resize(size, Image.Resampling.BICUBIC)


HISTORIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda photo: photo,
    "jpeg85": lambda photo: as_jpeg(photo, 85),
    "jpeg70": lambda photo: as_jpeg(photo, 70),
    "jpeg50": lambda photo: as_jpeg(photo, 50),
    "resize78": lambda photo: as_jpeg(resized(photo, 0.78), 85),
}


def cost(longest: int) -> dict[str, float]:
    """CPU-seconds an image, mean and worst, the better of two runs; half of the photographs have a copied region."""
    seconds = []
    for photo in load_photographs().values():
        plain = resized(photo, longest / max(photo.size))
        copied = plain.copy()
        copied.paste(
            plain.crop((0, 0, plain.width // 3, plain.height // 3)).rotate(10), (plain.width // 2, plain.height // 2)
        )
        seconds += [min(timed(np.asarray(each)) for _ in range(2)) for each in (plain, copied)]
    return {"mean": float(np.mean(seconds)), "worst": max(seconds), "images": len(seconds)}


def timed(pixels: Pixels) -> float:
    begin = time.process_time()
    find_copies(pixels, CONFIG)
    return time.process_time() - begin


def labelled(path: Path, limit: int | None) -> Iterator[tuple[str, Image.Image]]:
    """(kind, photograph) of each sample of a source; ``limit``: so many, evenly spread."""
    samples = read_source(path)
    step = max(1, -(-len(samples) // limit)) if limit else 1
    for sample in samples[::step]:
        kind = "tampered" if sample.tampered else AUTHENTIC
        name = sample.image.name
        if kind == "tampered" and name.startswith(("Sp_", "Tp_")):
            kind = "copies" if name[3] == "S" else "splices"
        yield kind, Image.fromarray(decode_photo(sample.image.read_bytes()))


def demo() -> Iterator[tuple[str, Image.Image]]:
    with tempfile.TemporaryDirectory() as folder:
        corpus = build_demo_corpus(Path(folder) / "demo")
        for image in corpus.images:
            if image.group != "odd":
                kind = {"copy-move": "copies", "splice": "splices"}.get(image.group, AUTHENTIC)
                yield kind, Image.fromarray(decode_photo((corpus.folder / image.key).read_bytes()))


def table(photos: Iterator[tuple[str, Image.Image]], histories: list[str]) -> dict[str, Any]:
    """By history and kind: how many were flagged at each level; AUC and recall of the statistic against authentic."""
    statistics: dict[str, dict[str, list[float]]] = {name: {} for name in histories}
    for kind, photo in photos:
        for name in histories:
            found = find_copies(np.asarray(HISTORIES[name](photo)), CONFIG)
            statistics[name].setdefault(kind, []).append(found.statistic)
    return {name: summary(by_kind) for name, by_kind in statistics.items()}


def summary(by_kind: dict[str, list[float]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    authentic = np.array(by_kind.get(AUTHENTIC, []))
    for kind, values in by_kind.items():
        scores = np.array(values)
        row: dict[str, Any] = {
            "images": len(scores),
            "strict": int((scores >= CONFIG.strict).sum()),
            "loose": int((scores >= CONFIG.loose).sum()),
        }
        if kind != AUTHENTIC and len(authentic):
            both = np.r_[scores, authentic]
            truth = np.r_[np.ones(len(scores), bool), np.zeros(len(authentic), bool)]
            row["auc"] = auc(both, truth)
            row["recall at 1 % false alarms"] = recall_at_fpr(both, truth, 0.01)
        rows[kind] = row
    return rows


def show(name: str, rows: dict[str, Any]) -> None:
    for history, kinds in rows.items():
        for kind, row in sorted(kinds.items()):
            print(
                f"{name:28} {history:9} {kind:10} {row['images']:>6} {row['strict']:>7} {row['loose']:>6} "
                f"{row.get('auc', float('nan')):>7.3f} {row.get('recall at 1 % false alarms', float('nan')):>7.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--history", choices=list(HISTORIES), action="append", default=[])
    parser.add_argument("--limit", type=int, help="photographs of a source, evenly spread; default: all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    histories = arguments.history or ["as it is"]
    result: dict[str, Any] = {}
    if arguments.data:
        result["tables"] = {
            "/".join(path.parts[-2:]): table(labelled(path, arguments.limit), histories) for path in arguments.data
        }
    else:
        result["cost"] = {str(longest): cost(longest) for longest in (1024, 512)}
        result["tables"] = {"demo": table(demo(), histories)}
    if arguments.json:
        print(json.dumps(result))
        return
    for longest, row in result.get("cost", {}).items():
        print(
            f"{longest:>4} pixels: {row['mean']:.3f} CPU-s an image, worst {row['worst']:.3f} ({row['images']} images)"
        )
    print(f"{'':28} {'history':9} {'kind':10} {'images':>6} {'strict':>7} {'loose':>6} {'AUC':>7} {'at 1 %':>7}")
    for name, rows in result["tables"].items():
        show(name, rows)


if __name__ == "__main__":
    main()
