"""Screening in bounds: what is batched together, what is held in memory, what runs at once."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from support.builders import fill, lease, picture
from support.scene import Photos, Scene, codes

from jobs.domain import ImageKey, Verdict
from jobs.errors import (
    ModelUnavailable,
)
from jobs.screening.limits import ScreeningLimits
from jobs.screening.shard_run import ShardAbandoned
from jobs.testing import MemoryScorer
from ncl_model.imaging.decoding import DecodedImage


def test_images_of_one_batch_have_one_canvas_shape() -> None:
    scene = Scene(limits=ScreeningLimits(fetchers=2, batch_size=4))
    wide_ones = {3, 4, 9, 10, 11, 17}
    big = MemoryScorer(replace(scene.scorer._config, input_size=128))
    scene.scorer = big
    for i in range(20):
        size = {"width": 128, "height": 40} if i in wide_ones else {"width": 40, "height": 40}
        scene.put(f"{i:03d}.png", picture(i, **size))
    verdicts = scene.screen()
    assert [verdict.score for verdict in verdicts] == [big.score_of(data) for data in scene.pictures.values()]
    assert sorted(big.calls) == sorted(
        [((64, 64, 3), 4)] * 3 + [((64, 64, 3), 2), ((64, 128, 3), 4), ((64, 128, 3), 2)]
    )


class Watched(MemoryScorer):
    """Counts the decoded images that are alive."""

    def __init__(self, hold: threading.Semaphore | None = None) -> None:
        super().__init__(replace(MemoryScorer()._config, input_size=512))
        self.alive: weakref.WeakSet[Pixels] = weakref.WeakSet()
        self.most = 0
        self.lock2 = threading.Lock()

    def decode(self, data: bytes, fingerprint: str) -> DecodedImage:
        image = super().decode(data, fingerprint)
        pixels = image.pixels.view(Pixels)
        with self.lock2:
            self.alive.add(pixels)
            self.most = max(self.most, len(self.alive))
        return replace(image, pixels=pixels)


class Pixels(np.ndarray):
    """An array that can be watched."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return self is other


@pytest.mark.parametrize("shapes", [1, 30])
def test_few_decoded_images_are_in_memory_at_once(shapes: int) -> None:
    limits = ScreeningLimits(fetchers=2, batch_size=4)
    scene = Scene(limits=limits)
    sizes = [(32 * (2 + i % 8), 32 * (2 + i // 8)) for i in range(shapes)]
    for i in range(200):
        width, height = sizes[i % shapes]
        scene.put(f"{i:03d}.png", picture(i % shapes, width=width, height=height))
    watched = Watched()
    gc.collect()
    verdicts = scene.screener(scorer=watched).screen(scene.lease())
    assert codes(verdicts) == [None] * 200
    assert limits.most_decoded_images == 2 * 2 + 7 * 4
    assert 0 < watched.most <= limits.most_decoded_images
    if shapes == 1:
        assert {images for _, images in watched.calls} == {4}


def test_one_screener_screens_several_shards_at_once() -> None:
    scene = Scene(40)
    screener = scene.screener()
    images = scene.refs()
    shards = [lease(images[i : i + 10], first_ordinal=i) for i in range(0, 40, 10)]
    results: dict[int, list[Verdict]] = {}

    def work(i: int) -> None:
        results[i] = screener.screen(shards[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [verdict for i in range(4) for verdict in results[i]]
    assert [verdict.ordinal for verdict in found] == list(range(40))
    assert [verdict.score for verdict in found] == [scene.scorer.score_of(data) for data in scene.pictures.values()]


class Counted(Photos):
    """Knows how many reads go on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lock, self.reading, self.most = threading.Lock(), 0, 0
        self.together = threading.Barrier(2)

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        with self.lock:
            self.reading += 1
            self.most = max(self.most, self.reading)
        self.together.wait(30)  # all images are read in pairs, so two are always there
        data = super().read(key, version_id=version_id, max_bytes=max_bytes)
        with self.lock:
            self.reading -= 1
        return data


def test_few_bytes_of_files_are_in_memory_at_once() -> None:
    scene = Scene(20)
    sizes = {key: len(data) for key, data in scene.pictures.items()}
    assert 3 * min(sizes.values()) > 2 * max(sizes.values()), "three of them never fit"
    scene.limits = ScreeningLimits(fetchers=8, batch_size=4, max_image_bytes=max(sizes.values()))
    counted = Counted()
    fill(counted, scene.pictures.items())
    scene.photos = counted
    verdicts = scene.screen([replace(image, size=sizes[image.key]) for image in scene.refs()])
    assert codes(verdicts) == [None] * 20
    assert counted.most == 2, "eight could be fetched at once, and two have room"


class Closed(Photos):
    """Nothing can be read from one shard's pictures until a gate is opened."""

    def __init__(self, held: set[str]) -> None:
        super().__init__()
        self._held = held
        self.asked = threading.Event()
        self.gate = threading.Event()

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        if key in self._held:
            self.asked.set()
            assert self.gate.wait(30)
        return super().read(key, version_id=version_id, max_bytes=max_bytes)


def test_a_shard_may_be_abandoned_beside_others_and_leaves_its_room() -> None:
    scene = Scene(300)
    images = scene.refs()
    held = Closed({image.key for image in images[:100]})
    fill(held, scene.pictures.items())
    scene.photos = held
    dropped = lease(images[:100], shard_id=1)
    with scene.screener() as screener, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(screener.screen, dropped)
        assert held.asked.wait(30)
        screener.abandon(dropped)
        with pytest.raises(ShardAbandoned, match="shard 1 was abandoned"):
            waiting.result(30)
        held.gate.set()
        # twice what fits into memory at once: nothing of the dropped one's is still taken
        rest = screener.screen(lease(images[100:], shard_id=2, first_ordinal=100))
        assert codes(rest) == [None] * 200
        screener.abandon(dropped)  # it is not here any more: nothing happens


def test_batches_are_filled_from_several_shards_and_a_culprit_costs_its_neighbours_nothing() -> None:
    scene = Scene(60, limits=ScreeningLimits(fetchers=2, batch_size=20))
    images = scene.refs()
    culprit = picture(33)
    scene.scorer.fail_on(culprit)
    held = Closed({images[0].key})
    fill(held, scene.pictures.items())
    scene.photos = held
    shards = [lease(images[i : i + 10], shard_id=i, first_ordinal=i) for i in range(0, 60, 10)]
    with scene.screener() as screener, ThreadPoolExecutor(6) as pool:
        running = [pool.submit(screener.screen, shard) for shard in shards]
        while len(screener._runs) < 6:
            held.asked.wait(0.01)
        held.gate.set()  # all six shards are known now: no batch need go before it is full
        found = sorted((v for each in running for v in each.result(30)), key=lambda verdict: verdict.ordinal)
    assert codes(found) == [None] * 33 + ["model_error"] + [None] * 26
    sizes = sorted(count for _, count in scene.scorer.calls)
    assert sizes[-3:] == [20, 20, 20]


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    scene = Scene(30)
    scene.screen()
    scene.scorer.unavailable = 1
    with pytest.raises(ModelUnavailable):
        scene.screen()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread.name
