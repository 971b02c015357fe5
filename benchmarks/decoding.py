"""What decoding large JPEGs at a reduced scale saves, and what it does to the scores of the shipped weights.

Photographs of 12 megapixels are made from the demo's, once by laying mirrored copies side by side (all their fine
detail), once by enlarging (none), and saved as JPEG of quality 90. Each is decoded in full and as the weights ask
for it (`draft_margin`), and scored both ways. Seconds are CPU time, the best of three.
Run: python benchmarks/decoding.py [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ncl_model.imaging.decoding import decode_image
from ncl_model.inference.predictor import Predictor
from nclscreen.demo.photographs import load_photographs

SIZE = (4000, 3000)


def tiled(photo: Image.Image) -> Image.Image:
    """Mirrored copies side by side, at the photograph's own scale."""
    canvas = Image.new("RGB", SIZE)
    for column, x in enumerate(range(0, SIZE[0], photo.width)):
        for row, y in enumerate(range(0, SIZE[1], photo.height)):
            part = ImageOps.mirror(photo) if column % 2 else photo
            canvas.paste(ImageOps.flip(part) if row % 2 else part, (x, y))
    return canvas


def compare(predictor: Predictor, photo: Image.Image) -> dict[str, float]:
    """Seconds and scores, in full and reduced, and the mean difference of the pixels (of 255)."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=90)
    found: dict[str, float] = {}
    canvases = []
    for name, config in [("full", replace(predictor.config, draft_margin=0)), ("reduced", predictor.config)]:
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            image = decode_image(buffer.getvalue(), config=config)
            seconds.append(time.process_time() - begin)
        canvases.append(image.pixels.astype(int))
        found[f"seconds, {name}"] = min(seconds)
        found[f"score, {name}"] = predictor.localize([image])[0].score
    found["pixels"] = float(np.abs(canvases[0] - canvases[1]).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    predictor = Predictor.setup(threads=1)
    rows: dict[str, Any] = {}
    for name, photo in load_photographs().items():
        rows[f"{name}, tiled"] = compare(predictor, tiled(photo))
        rows[f"{name}, enlarged"] = compare(predictor, photo.resize(SIZE, Image.Resampling.BICUBIC))
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{'':20} {'full, s':>8} {'reduced':>8} {'score':>8} {'reduced':>8} {'change':>8} {'pixels':>7}")
    for name, row in rows.items():
        change = row["score, reduced"] - row["score, full"]
        print(
            f"{name:20} {row['seconds, full']:>8.3f} {row['seconds, reduced']:>8.3f} {row['score, full']:>8.4f} "
            f"{row['score, reduced']:>8.4f} {change:>+8.4f} {row['pixels']:>7.2f}"
        )
    changes = [abs(row["score, reduced"] - row["score, full"]) for row in rows.values()]
    times = [sum(row[f"seconds, {name}"] for row in rows.values()) / len(rows) for name in ("full", "reduced")]
    print(
        f"mean: {times[0]:.3f} s in full, {times[1]:.3f} s reduced; score changes by {np.mean(changes):.4f}, ", end=""
    )
    print(f"at most {max(changes):.4f}")


if __name__ == "__main__":
    main()
