"""Fuzzed image files, decoded as a screening worker decodes them: no worker dies, memory and deadlines are kept.

Mutated JPEG, PNG, WebP, GIF, TIFF, BMP and AVIF files go through `GuardedDecoder` from several threads. Every file has
to become a canvas or a code. Any other end, a file that takes longer than its deadline allows (by the clock, on a
machine that may be busy), and memory beyond the budget are failures. The death of this process would be the worst one.
Run: PYTHONPATH=platform:.:tests python tests/chaos/fuzzed_files.py --count 200000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice

from support.memory_watch import MemoryWatch
from support.mutated_images import mutated

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoder_process import PATIENCE, DecoderProcess
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder

_CONFIG = NclConfig(geometry="fit", input_size=1024)
#: bytes of the programs themselves: each of the decoders' processes, and caches of this one
_PROGRAM_BYTES = 60_000_000
#: said while it goes on
_EVERY = 5_000


@dataclass(kw_only=True)
class Campaign:
    """What became of the files."""

    seed: int
    files: int = 0
    #: by kind of file and ending
    endings: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    peak_bytes: int = 0
    budget_bytes: int = 0
    #: processes that were started: those beyond the first few replaced one that an image had ended
    processes: int = 0
    seconds: float = 0.0


def run(*, count: int, seed: int, limits: DecodingLimits, threads: int = 4, tell: bool = False) -> Campaign:
    """Decode so many files."""
    campaign = Campaign(seed=seed, budget_bytes=limits.budget())
    decoder, lock, begin = _Counting(limits), threading.Lock(), time.monotonic()
    watch = MemoryWatch()

    def one(number: int) -> None:
        kind, data = mutated(seed, number)
        ending, taken = _decoded(decoder, data)
        with lock:
            campaign.files += 1
            campaign.endings[f"{kind} {ending.split(':')[0]}"] += 1
            if taken > campaign.slowest_s:
                campaign.slowest_s, campaign.slowest = taken, f"{kind} {number}: {ending}"
            if ":" in ending or taken > PATIENCE * limits.deadline_s + 5:
                campaign.failures.append(f"{kind} {number}: {ending} after {taken:.1f} s")
            if tell and campaign.files % _EVERY == 0:
                print(f"{campaign.files:,} files, {len(campaign.failures)} failures", flush=True)

    with ThreadPoolExecutor(threads) as pool:
        numbers = iter(range(count))
        for some in iter(lambda: list(islice(numbers, 1000)), []):
            list(pool.map(one, some))
    campaign.peak_bytes, campaign.seconds = watch.peak(), time.monotonic() - begin
    campaign.processes = decoder.started
    watch.close()
    decoder.close()
    if campaign.peak_bytes > campaign.budget_bytes + _PROGRAM_BYTES * (1 + limits.processes):
        campaign.failures.append(f"{campaign.peak_bytes / 1e6:.0f} MB were taken")
    return campaign


class _Counting(GuardedDecoder):
    started = 0

    def _start(self) -> DecoderProcess:
        self.started += 1
        return super()._start()


def _decoded(decoder: GuardedDecoder, data: bytes) -> tuple[str, float]:
    """The ending, with a colon in it where it is none that there may be; and seconds."""
    begin = time.monotonic()
    try:
        image = decoder.decode(data, config=_CONFIG)
        height, width, _ = image.pixels.shape
        fine = 0 < image.valid_height <= height <= 1024 and 0 < image.valid_width <= width <= 1024
        ending = "scored" if fine else f"no canvas: {image.pixels.shape}"
    except ImageUnreadable as error:
        ending = str(error.code)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        ending = f"{type(error).__name__}: {error}"
    return ending, time.monotonic() - begin


def table(campaign: Campaign) -> Iterator[str]:
    """Kinds and endings, for people."""
    endings = sorted({name.split()[1] for name in campaign.endings})
    yield f"{'':6}" + "".join(f"{ending:>20}" for ending in endings)
    for kind in sorted({name.split()[0] for name in campaign.endings}):
        yield f"{kind:6}" + "".join(f"{campaign.endings[f'{kind} {ending}']:>20,}" for ending in endings)
    yield f"{campaign.files:,} files, seed {campaign.seed}, {campaign.seconds:.0f} s, {len(campaign.failures)} failures"
    yield f"peak {campaign.peak_bytes / 1e6:.0f} MB, the budget of decoding is {campaign.budget_bytes / 1e6:.0f} MB"
    yield f"slowest {campaign.slowest_s:.1f} s ({campaign.slowest}), {campaign.processes} decoders were started"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--memory-mb", type=int, default=1000, help="the budget of decoding")
    parser.add_argument("--deadline-s", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    limits = DecodingLimits(memory_bytes=arguments.memory_mb * 1_000_000, deadline_s=arguments.deadline_s)
    campaign = run(
        count=arguments.count, seed=arguments.seed, limits=limits, threads=arguments.threads, tell=not arguments.json
    )
    print(json.dumps(asdict(campaign)) if arguments.json else "\n".join([*campaign.failures, *table(campaign)]))
    if campaign.failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
