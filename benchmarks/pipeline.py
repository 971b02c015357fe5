"""Images per second of the whole pipeline, against what its parts could give, and against a plain Ray Data pipeline.

Photographs of several sizes up to 12 megapixels are made from the demo's, as JPEG. Then, in turns and in one run:

    decode      reading and decoding alone, on all cores
    predictor   the bare model on decoded canvases, on all cores: one process with a thread a core, and a process a core
    pipeline    queue, Ray, Serve and SQL, as `nclscreen up` runs them
    ray data    ray.data map_batches: the same decoding, the same model in an actor a core, the same files

The ideal adds up the CPU time an image needs: 1 / (1 / decode + 1 / predictor), with the better of the two predictors.
Starting is not counted: Ray, Serve and the weights are up before (Ray Data loads its model in every round, so there
the first results say when it is up). The rate is that of the steady state: each answer of the model is stamped with
the time, and the rate is the slope of a line through the images counted up, from the 10th to the 90th percentile.
"whole" is the harsher figure, where the start and the end of a job count: all images divided by the time from
submission to the last verdict in the database.
Run: python benchmarks/pipeline.py [--images 200] [--rounds 3] [--database-url postgresql://...] [--json]
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from jobs.domain import JobOptions, NewJob
from jobs.domain.states import FINAL, JobState
from jobs.ports import ScoredImage
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.demo.photographs import load_photographs
from nclscreen.hosting.scorer import ServeScorer
from nclscreen.hosting.screener_plan import ScreenerPlan
from nclscreen.services.session import Session, running_session
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

#: sizes of the photographs, in pixels, and how often each comes: phones, cameras, and what the web leaves of them
SIZES = [(4000, 3000), (3000, 4000), (2048, 1536), (1600, 1200), (1280, 960), (1024, 683), (640, 480), (480, 640)]


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """When the model gave its answers: (seconds, images) of each batch."""

    batches: Sequence[tuple[float, int]]

    def rate(self) -> float:
        """Images per second: the slope of a line through the images counted up, from the 10th to the 90th percentile.

        A line, because batches end in bursts: from one stamp to another, a burst at either end weighs too much.
        """
        ordered = sorted(self.batches)
        counted = np.cumsum([images for _, images in ordered])
        inside = (counted >= 0.1 * counted[-1]) & (counted <= 0.9 * counted[-1])
        stamps = np.array([stamp for stamp, _ in ordered])
        slope, _ = np.polyfit((stamps - stamps[0])[inside], counted[inside], 1)
        return float(slope)


def make_corpus(folder: Path, images: int) -> list[Path]:
    """Photographs: the demo's, mirrored side by side until they fill the size, each cut out at another place."""
    folder.mkdir(parents=True)
    rng = random.Random(0)
    tiles = [_tile(photo) for photo in load_photographs().values()]
    paths = []
    for number in range(images):
        width, height = SIZES[number % len(SIZES)]
        tile = tiles[rng.randrange(len(tiles))]
        zoom = max(width / tile.width, height / tile.height) * rng.uniform(0.6, 1.2)
        part = (width / zoom, height / zoom)
        left, top = rng.uniform(0, tile.width), rng.uniform(0, tile.height)
        canvas = Image.new("RGB", (tile.width * 2 + int(part[0]), tile.height * 2 + int(part[1])))
        for x in range(0, canvas.width, tile.width):
            for y in range(0, canvas.height, tile.height):
                canvas.paste(tile, (x, y))
        box = (left, top, left + part[0], top + part[1])
        photo = canvas.resize((width, height), Image.Resampling.BICUBIC, box=box)
        paths.append(folder / f"{number:05d}.jpg")
        photo.save(paths[-1], quality=rng.choice([85, 90, 95]))
    return paths


def _tile(photo: Image.Image) -> Image.Image:
    """Four mirrored copies that fit together at every edge."""
    tile = Image.new("RGB", (2 * photo.width, 2 * photo.height))
    mirrored, upside = ImageOps.mirror(photo), ImageOps.flip(photo)
    for place, part in [
        ((0, 0), photo),
        ((photo.width, 0), mirrored),
        ((0, photo.height), upside),
        ((photo.width, photo.height), ImageOps.mirror(upside)),
    ]:
        tile.paste(part, place)
    return tile


# -- the parts alone, in processes of their own


def decode_alone(weights: Path, paths: Sequence[Path], cpus: int) -> float:
    """Images per second of reading and decoding with a thread a core."""
    from ncl_model.imaging.decoding import decode_image
    from ncl_model.inference.checkpoint import load_checkpoint

    config = load_checkpoint(weights).config
    begin = time.perf_counter()
    with ThreadPoolExecutor(cpus) as pool:
        for _ in pool.map(lambda path: decode_image(path.read_bytes(), config=config).width, paths):
            pass
    return len(paths) / (time.perf_counter() - begin)


def predict_alone(weights: Path, paths: Sequence[Path], threads: int, barrier: Any) -> tuple[float, float]:
    """When the bare predictor began and ended with these photographs, decoded before."""
    from ncl_model.inference.predictor import Predictor

    predictor = Predictor.setup(weights, threads=threads)
    images = [predictor.decode(path.read_bytes()) for path in paths]
    predictor.localize(images[:1])
    barrier.wait()
    begin = time.time()
    predictor.localize(images)
    return begin, time.time()


def predictor_rate(weights: Path, paths: Sequence[Path], processes: int, threads: int) -> float:
    """Images per second of bare predictors beside each other, from the first one's begin to the last one's end."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        barrier = manager.Barrier(processes)
        parts = [(weights, paths[i::processes], threads, barrier) for i in range(processes)]
        times = pool.starmap(predict_alone, parts, chunksize=1)
    return len(paths) / (max(end for _, end in times) - min(begin for begin, _ in times))


# -- the whole


class StampedScorer(ServeScorer):
    """The scorer of the screening workers, which also writes down when it has an answer."""

    def __init__(self, inner: ServeScorer, folder: str) -> None:
        self.__dict__.update(inner.__dict__)
        self._folder = folder

    def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
        scored = super().score(images, fingerprint)
        with open(f"{self._folder}/stamps", "a") as file:
            file.write(f"{time.time()} {len(images)}\n")
        return scored


class StampedWiring(Wiring):
    """As `nclscreen up` wires it, with a stamp on every answer of the model."""

    def screener_plan(self) -> ScreenerPlan:
        plan = super().screener_plan()
        return replace(plan, scorer=StampedScorer(plan.scorer, str(self.settings.home)))


class System:
    """The pipeline, up and waiting for jobs."""

    def __init__(self, wiring: Wiring, session: Session) -> None:
        self._wiring = wiring
        self._session = session
        self._stamps = wiring.settings.home / "stamps"

    def screen(self, folder: Path) -> tuple[Stamps, float]:
        """Stamps of one job over the folder, and images per second from submission to its last verdict."""
        self._stamps.write_text("")
        wiring = self._wiring
        new = NewJob(
            source=str(folder),
            model=wiring.model.ref,
            threshold=wiring.model.threshold(),
            options=JobOptions(rescore=True),
        )
        begin = time.time()
        job_id = wiring.jobs.submit(new)
        while (job := wiring.jobs.get(job_id)).state not in FINAL:
            self._session.check()
            time.sleep(0.5)  # whoever asks takes time from what is measured
        if job.state is not JobState.COMPLETED or job.counts.scored != job.counts.total:
            raise SystemExit(f"the job ended as {job.state}: {job.error}; {job.counts}")
        lines = [line.split() for line in self._stamps.read_text().splitlines()]
        stamps = Stamps(batches=[(float(stamp), int(images)) for stamp, images in lines])
        return stamps, job.counts.total / ((job.finished_at or 0.0) - begin)


@contextmanager
def running_system(home: Path, settings: dict[str, Any], spare_cpus: int) -> Iterator[System]:
    """Ray, Serve, weights and dispatcher up, with CPUs left for Ray Data to reserve."""

    class Spacious(StampedWiring):
        def ray_options(self, *, models: int = 1) -> Any:
            options = super().ray_options(models=models)
            return replace(options, needed_cpus=options.needed_cpus + spare_cpus)

    wiring = Spacious(Settings(home=home, **settings))
    home.mkdir(parents=True)
    with running_session(wiring) as session:
        yield System(wiring, session)


class DataModel:
    """The model as an actor of Ray Data."""

    def __init__(self, weights: str, threads: int) -> None:
        from ncl_model.inference.predictor import Predictor

        self._predictor = Predictor.setup(weights, threads=threads)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        scores = []
        for pixels, (height, width) in zip(batch["pixels"], batch["valid"], strict=True):
            found = self._predictor.predict_batch(np.asarray(pixels)[None], [(int(height), int(width))]).scores
            scores.append(float(found[0]))
        return {"score": np.array(scores), "stamp": np.full(len(scores), time.time())}


def ray_data(weights: Path, paths: Sequence[Path], batch: int, cpus: int) -> Stamps:
    """Stamps of a plain Ray Data pipeline over the same files."""
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    from ncl_model.inference.checkpoint import load_checkpoint

    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    config = load_checkpoint(weights).config

    def decode(rows: dict[str, Any]) -> dict[str, Any]:
        from ncl_model.imaging.decoding import decode_image

        images = [decode_image(Path(path).read_bytes(), config=config) for path in rows["path"]]
        pixels = np.empty(len(images), dtype=object)
        pixels[:] = [image.pixels for image in images]
        return {"pixels": pixels, "valid": np.array([(image.valid_height, image.valid_width) for image in images])}

    rows = [{"path": str(path)} for path in paths]
    found = (
        ray.data.from_items(rows, override_num_blocks=max(1, len(rows) // batch))
        # not the actor's CPUs: with equal ones Ray Data decodes in the actor, one after the other
        .map_batches(decode, batch_size=batch, num_cpus=0.5)
        .map_batches(
            DataModel,
            fn_constructor_args=(str(weights), 1),
            batch_size=batch,
            # an actor a core, with one thread each: faster than one actor with a thread a core
            compute=ActorPoolStrategy(size=cpus),
            num_cpus=1,
        )
    )
    stamps = [(float(row["stamp"]), 1) for row in found.iter_rows()]
    if len(stamps) != len(paths):
        raise SystemExit(f"Ray Data gave {len(stamps)} results for {len(paths)} images")
    return Stamps(batches=stamps)


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, list[float]]:
    """Images per second of every round, by what was run."""
    paths = make_corpus(work / "corpus", arguments.images)
    warm_up = work / "warm-up"
    make_corpus(warm_up, 8)
    cpus, context = arguments.cpus, multiprocessing.get_context("spawn")
    settings: dict[str, Any] = {"database_url": arguments.database_url, "weights": arguments.weights}
    if arguments.threads:
        settings["replica_threads"] = arguments.threads
    found: dict[str, list[float]] = {}

    def note(name: str, rate: float) -> None:
        found.setdefault(name, []).append(rate)

    with running_system(work / "home", settings, spare_cpus=cpus + 1) as system:
        weights = system._wiring.model.weights

        def decode() -> None:
            with context.Pool(1) as pool:
                note("decode", pool.apply(decode_alone, (weights, paths, cpus)))

        def predictor() -> None:
            note("predictor, 1 process", predictor_rate(weights, paths, 1, cpus))
            if cpus > 1:
                note(f"predictor, {cpus} processes", predictor_rate(weights, paths, cpus, 1))

        def pipeline() -> None:
            stamps, whole = system.screen(work / "corpus")
            note("pipeline", stamps.rate())
            note("pipeline, whole", whole)

        def data() -> None:
            note("ray data", ray_data(weights, paths, 8, cpus).rate())

        system.screen(warm_up)
        for number in range(arguments.rounds):
            ways = [decode, predictor, pipeline, data]
            for way in ways if number % 2 == 0 else ways[::-1]:  # nobody always goes first
                way()
    bare = zip(*[rates for name, rates in found.items() if name.startswith("predictor")], strict=True)
    found["ideal"] = [1 / (1 / d + 1 / max(p)) for d, p in zip(found["decode"], bare, strict=True)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="photographs in the corpus (at least 40)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=len(os.sched_getaffinity(0)), help="cores; default: those allowed")
    parser.add_argument("--threads", type=int, help="threads of the model's replica; default: the program's own choice")
    parser.add_argument("--database-url", help="postgresql://...; default: SQLite in a temporary folder")
    parser.add_argument("--weights", type=Path, help="other weights than those in the package")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.images < 40:
        parser.error("fewer than 40 images have no steady state")
    with tempfile.TemporaryDirectory() as work:
        found = measure(arguments, Path(work))
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{arguments.images} photographs, {arguments.cpus} cores, {arguments.rounds} rounds")
    print(f"{'':24} {'images/s':>9}   of the ideal, by round")
    for name, rates in found.items():
        shares = [rate / ideal for rate, ideal in zip(rates, found["ideal"], strict=True)]
        print(f"{name:24} {statistics.median(rates):>9.2f}   {'  '.join(f'{share:.3f}' for share in shares)}")


if __name__ == "__main__":
    main()
