"""Images a second of a replica, as screening workers ask it, against the bare forward pass on the same device.

The replica is called without Ray: batches of the demo's photographs in one shape, as many under way as Serve gives it
at once, and answers with scores, areas and heatmaps. "network" is the bare forward pass on the same images, in the same
threads; "judged" is that and the search for copied regions, so the least that a verdict takes. "in turn" makes areas
and heatmaps before the next forward pass. All take turns within each round; the aim is 0.95 of "judged". "by computing"
compares CPU seconds, which other programs move less.
Run: python benchmarks/replica.py [--device cuda] [--side 512] [--images 48] [--weights FILE] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ImageOps

from jobs.storage import S3Options
from ncl_model.inference.checkpoint import load_checkpoint, shipped_weights
from nclscreen.catalog import ModelVersion
from nclscreen.demo.photographs import load_photographs
from nclscreen.hosting.applications import MAX_ONGOING_REQUESTS
from nclscreen.hosting.replica import Localizer, _finished

Batches = Sequence[np.ndarray[Any, np.dtype[np.uint8]]]


class Taken(NamedTuple):
    """Seconds."""

    clock: float
    computing: float


async def replica(weights: Path, device: str, threads: int) -> Localizer:
    fingerprint = load_checkpoint(weights).fingerprint("float32")
    made = Localizer(ModelVersion(fingerprint=fingerprint, places=(str(weights),), s3=S3Options()))
    await made.reconfigure({"threads": threads, "device": device})
    return made


async def through(ask: Callable[[Any], Awaitable[Any]], batches: Batches, at_once: int) -> Taken:
    """Seconds by the clock, and of computing in this process, for all; so many batches are under way at once."""
    places = asyncio.Semaphore(at_once)

    async def one(batch: Any) -> None:
        async with places:
            await ask(batch)

    begin, computed = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(batch) for batch in batches))
    return Taken(time.perf_counter() - begin, time.process_time() - computed)


async def measure(made: Localizer, batches: Batches) -> dict[str, Taken]:
    """One round of all three."""
    loop, predictor, streams = asyncio.get_running_loop(), made._predictor, made._streams
    side = batches[0].shape[1]

    def judged(part: Any) -> Any:
        return predictor.judge(part, [(side, side)] * len(part))

    def in_turn(part: Any) -> Any:
        sizes = [(side, side)] * len(part)
        return _finished(predictor, predictor.ask(part, sizes), part, sizes)

    def spread(work: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
        async def ask(batch: Any) -> None:
            step = len(batch) if streams.whole_batches else 1
            parts = [batch[i : i + step] for i in range(0, len(batch), step)]
            await asyncio.gather(*(loop.run_in_executor(streams.pool, work, part) for part in parts))

        return ask

    async def asked(batch: Any) -> None:
        reply = await made(batch, [(side, side)] * len(batch), predictor.fingerprint)
        if reply.error or reply.unavailable:
            raise SystemExit(f"the replica failed: {reply.error or reply.unavailable}")

    return {
        "network": await through(spread(predictor.ask), batches, MAX_ONGOING_REQUESTS),
        "judged": await through(spread(judged), batches, MAX_ONGOING_REQUESTS),
        "replica": await through(asked, batches, MAX_ONGOING_REQUESTS),
        "in turn": await through(spread(in_turn), batches, MAX_ONGOING_REQUESTS),
    }


async def run(arguments: argparse.Namespace) -> list[dict[str, Taken]]:
    square = (arguments.side, arguments.side)
    canvases = cycle([np.asarray(ImageOps.fit(photo, square)) for photo in load_photographs().values()])
    count = max(1, arguments.images // arguments.batch_size)
    batches = [np.stack(list(islice(canvases, arguments.batch_size))) for _ in range(count)]
    made = await replica(arguments.weights, arguments.device, arguments.threads)
    await measure(made, batches[:1])
    return [await measure(made, batches) for _ in range(arguments.rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads of the replica")
    parser.add_argument("--side", type=int, default=512, help="pixels of a canvas, a multiple of 32")
    parser.add_argument("--images", type=int, default=48, help="a round")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", type=Path, default=shipped_weights())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rounds = asyncio.run(run(arguments))
    if arguments.json:
        print(json.dumps({"device": arguments.device, "side": arguments.side, "rounds": rounds}))
        return
    print(f"{arguments.device}, {arguments.side} px, batches of {arguments.batch_size}, {arguments.threads} threads")
    print(f"{'':10}{'images/s':>10}   of the network   of judged: median, by round; by computing, median")
    images = arguments.batch_size * max(1, arguments.images // arguments.batch_size)
    for name in rounds[0]:
        ratios = [each["judged"].clock / each[name].clock for each in rounds]
        of_network = statistics.median(each["network"].clock / each[name].clock for each in rounds)
        computing = statistics.median(each["judged"].computing / each[name].computing for each in rounds)
        rate = images / statistics.median(each[name].clock for each in rounds)
        shown = "  ".join(f"{ratio:.3f}" for ratio in ratios)
        middle = statistics.median(ratios)
        print(f"{name:10}{rate:>10.2f}   {of_network:>14.3f}   {middle:.3f}   {shown}   {computing:.3f}")


if __name__ == "__main__":
    main()
