"""What it costs to look before decoding: `GuardedDecoder` against `decode_image` alone, file by file, in one process.

Both take turns, file by file, and the shortest of the rounds counts: seconds of computing or, for files out of the
ordinary, which go to a process of their own, by the clock.
Run: python benchmarks/guarded_decoding.py [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable

from PIL import Image

from ncl_model.architecture.config import NclConfig
from ncl_model.imaging.decoding import decode_image
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder
from ncl_model.imaging.header import read_header
from nclscreen.demo.photographs import load_photographs

SIZES = {"0.2 MP": (512, 384), "2 MP": (1600, 1200), "12 MP": (4000, 3000)}
KINDS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 90},
    "PNG": {"compress_level": 3},
    "WEBP": {"quality": 85, "method": 2},
    "TIFF": {"compression": "tiff_lzw"},
    "GIF": {},
}


def encoded(photo: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, kind, **KINDS[kind])
    return buffer.getvalue()


def seconds(decode: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    decode()
    return clock() - begin


def compare(decoder: GuardedDecoder, data: bytes, rounds: int) -> dict[str, float | bool]:
    """Milliseconds of both, the least, and their ratio."""
    config, header = NclConfig(geometry="fit", input_size=1024), read_header(data)
    outside = header is not None and not header.ordinary
    clock = time.perf_counter if outside else time.thread_time
    plain = guarded = float("inf")
    for _ in range(rounds):
        plain = min(plain, seconds(lambda: decode_image(data, config=config), clock))
        guarded = min(guarded, seconds(lambda: decoder.decode(data, config=config), clock))
    return {
        "plain_ms": 1000 * plain,
        "guarded_ms": 1000 * guarded,
        "ratio": guarded / plain,
        "in_a_process": outside,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    photo = next(iter(load_photographs().values())).convert("RGB")
    decoder = GuardedDecoder(DecodingLimits())
    rows = {
        f"{kind}, {name}": compare(
            decoder, encoded(photo.resize(size, Image.Resampling.BICUBIC), kind), arguments.rounds
        )
        for kind in KINDS
        for name, size in SIZES.items()
    }
    decoder.close()
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{'':14} {'alone, ms':>10} {'guarded':>9} {'ratio':>7}")
    for name, row in rows.items():
        where = "in a process" if row["in_a_process"] else ""
        print(f"{name:14} {row['plain_ms']:>10.2f} {row['guarded_ms']:>9.2f} {row['ratio']:>7.3f}  {where}")


if __name__ == "__main__":
    main()
