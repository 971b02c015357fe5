"""Shards in one worker: a storage that is silent, or drips, is judged by itself and holds up no other shard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.builders import entry, lease
from support.scene import Scene

from jobs.domain import ImageKey, ImageRef, ShardId
from jobs.errors import StorageAway, StorageUnavailable
from jobs.progress import report_progress
from jobs.screening import shard_run, shard_screener
from jobs.screening.limits import ScreeningLimits
from jobs.screening.shard_screener import ShardScreener
from jobs.testing import MemoryStorage

SILENT = "s3://silent"
LIMITS = ScreeningLimits(fetchers=2, batch_size=4)


class Silent(MemoryStorage):
    """Says nothing to whoever reads, until it is let go; it may drip meanwhile."""

    def __init__(self) -> None:
        super().__init__(SILENT)
        self.let_go = threading.Event()
        self.drips = False
        self.asked = 0

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        self.asked += 1
        while not self.let_go.wait(0.01):
            if self.drips:
                report_progress()
        raise StorageUnavailable(SILENT, "Read timed out")

    def check(self, prefix: str = "", *, root: str | None = None) -> None:
        raise StorageUnavailable(SILENT, "Connect timed out")


class Two:
    """A worker with a shard of a silent storage, and one of a healthy storage behind it."""

    def __init__(self) -> None:
        self.scene = Scene(20, limits=LIMITS)
        self.silent = Silent()
        self.screener: ShardScreener = self.scene.screener(
            open_storage=lambda container: self.silent if container == SILENT else self.scene.photos
        )
        self.bad = lease(self.refs(512), shard_id=ShardId(1))
        self.good = lease(self.scene.refs(), shard_id=ShardId(2))

    def refs(self, count: int) -> list[ImageRef]:
        return [entry(f"{i}.png", container=SILENT) for i in range(count)]


@pytest.fixture
def two() -> Iterator[Two]:
    made = Two()
    with made.screener:
        yield made
        made.silent.let_go.set()


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_healthy_shard_does_not_wait_for_a_storage_that_is_silent_or_drips(
    two: Two, drips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found 8: it waited until half of the other shard was judged: 75 s at 512 images and a time-out of 1 s."""
    monkeypatch.setattr(shard_screener, "_STALLED_S", 0.05)
    two.silent.drips = drips
    with ThreadPoolExecutor(2) as pool:
        bad = pool.submit(two.screener.screen, two.bad)
        while two.silent.asked == 0:
            time.sleep(0.001)
        good = pool.submit(two.screener.screen, two.good)
        assert len(good.result(30)) == 20
        assert not bad.done()
        two.silent.let_go.set()
        with pytest.raises(StorageAway):
            bad.result(30)


def test_a_silent_storage_is_asked_whether_it_is_there_after_a_few_images(two: Two) -> None:
    two.silent.let_go.set()
    with pytest.raises(StorageAway, match="Connect timed out"):
        two.screener.screen(two.bad)
    assert two.silent.asked < 20


def test_a_storage_that_lists_and_never_reads_is_judged_by_time(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_run, "_TROUBLED_S", 0.0)
    monkeypatch.setattr(two.silent, "check", lambda prefix="": None)
    two.silent.let_go.set()
    with pytest.raises(StorageAway, match=r"\d of 512 images could not be read: Read timed out"):
        two.screener.screen(two.bad)
    assert two.silent.asked < 20


def test_silence_is_told_for_each_shard(two: Two) -> None:
    """What drips makes progress, as far as this goes: the storage itself has a minimum rate."""
    with ThreadPoolExecutor(1) as pool:
        bad = pool.submit(two.screener.screen, two.bad)
        while two.screener.silence().get(ShardId(1), 0.0) < 0.1:
            time.sleep(0.005)
        two.silent.drips = True
        while two.screener.silence()[ShardId(1)] > 0.09:
            time.sleep(0.005)
        two.silent.let_go.set()
        with pytest.raises(StorageAway):
            bad.result(30)
    assert two.screener.silence() == {}


def test_waiting_for_the_model_is_no_silence_of_the_shard() -> None:
    scene = Scene(4, limits=LIMITS)
    entered, let_go = threading.Event(), threading.Event()
    real = scene.scorer.score

    def slow(*of: object) -> object:
        entered.set()
        assert let_go.wait(30)
        return real(*of)  # type: ignore[arg-type]

    scene.scorer.score = slow  # type: ignore[method-assign,assignment]
    with scene.screener() as screener, ThreadPoolExecutor(1) as pool:
        done = pool.submit(screener.screen, scene.lease())
        assert entered.wait(30)
        time.sleep(0.1)
        assert set(screener.silence().values()) == {0.0}
        let_go.set()
        assert len(done.result(30)) == 4
