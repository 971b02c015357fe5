"""Batches: when they go, and who is told what."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.builders import FINGERPRINT

from jobs.errors import ModelFailed, ModelUnavailable
from jobs.ports import ScoredImage
from jobs.screening.batching import BATCHES_WAITING, Batcher
from jobs.testing import MemoryScorer
from ncl_model.imaging.decoding import DecodedImage

SIZE = 4


@dataclass(eq=False)
class Piece:
    """An image that remembers what came of it."""

    image: DecodedImage
    fingerprint: str = FINGERPRINT
    wanted: bool = True
    told: list[ScoredImage | Exception | None] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def deliver(self, result: ScoredImage | Exception | None) -> None:
        self.told.append(result)
        self.done.set()

    def wait(self) -> ScoredImage | Exception | None:
        assert self.done.wait(30)
        (told,) = self.told
        return told


def piece(number: int = 0, *, side: int = 64) -> Piece:
    pixels = np.full((side, 64, 3), number, dtype=np.uint8)
    return Piece(DecodedImage(pixels=pixels, valid_height=side, valid_width=64, width=64, height=side))


def add(batcher: Batcher, pieces: Sequence[Piece]) -> None:
    for each in pieces:
        batcher.add(each)


def test_a_batch_goes_when_it_is_full() -> None:
    scorer = MemoryScorer()
    batcher = Batcher(scorer, SIZE)
    pieces = [piece(i) for i in range(2 * SIZE + 1)]
    add(batcher, pieces)
    for each in pieces[:-1]:
        told = each.wait()
        assert isinstance(told, ScoredImage)
        assert told.score == scorer._score(each.image)
    assert [count for _, count in scorer.calls] == [SIZE, SIZE]
    assert pieces[-1].told == []
    batcher.flush()
    assert isinstance(pieces[-1].wait(), ScoredImage)
    batcher.close()


def test_shapes_and_models_are_never_mixed() -> None:
    scorer = MemoryScorer()
    batcher = Batcher(scorer, SIZE)
    pieces = [piece(), piece(side=96), piece()]
    pieces[2].fingerprint = "cd" * 32
    add(batcher, pieces)
    batcher.flush()
    assert all(isinstance(each.wait(), ScoredImage) for each in pieces)
    assert sorted(scorer.calls) == [((64, 64, 3), 1), ((64, 64, 3), 1), ((96, 64, 3), 1)]
    batcher.close()


def test_a_rare_shape_waits_for_so_many_others_and_no_longer() -> None:
    batcher = Batcher(MemoryScorer(), SIZE)
    rare = piece(side=96)
    batcher.add(rare)
    add(batcher, [piece(i) for i in range(BATCHES_WAITING * SIZE - 2)])
    assert not rare.done.wait(0.1)
    batcher.add(piece())
    assert isinstance(rare.wait(), ScoredImage)
    batcher.close()


def test_what_is_unwanted_is_not_scored() -> None:
    scorer = MemoryScorer()
    batcher = Batcher(scorer, SIZE)
    pieces = [piece(i) for i in range(3)]
    pieces[1].wanted = False
    add(batcher, pieces)
    batcher.flush()
    assert [each.wait() is None for each in pieces] == [False, True, False]
    assert scorer.calls == [((64, 64, 3), 2)]
    batcher.close()


def test_everybody_hears_that_the_model_is_away() -> None:
    scorer = MemoryScorer()
    scorer.unavailable = 1
    batcher = Batcher(scorer, SIZE)
    pieces = [piece(i) for i in range(SIZE)]
    add(batcher, pieces)
    assert all(isinstance(each.wait(), ModelUnavailable) for each in pieces)
    batcher.close()


def test_the_culprit_alone_hears_that_it_is_one() -> None:
    class Picky(MemoryScorer):
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            if any(image.pixels[0, 0, 0] == 2 for image in images):
                raise ModelFailed("not this one")
            return super().score(images, fingerprint)

    batcher = Batcher(Picky(), SIZE)
    pieces = [piece(i) for i in range(SIZE)]
    add(batcher, pieces)
    assert [isinstance(each.wait(), ModelFailed) for each in pieces] == [False, False, True, False]
    batcher.close()


def test_few_batches_are_at_the_model_at_once() -> None:
    inside, most, lock, gate = 0, 0, threading.Lock(), threading.Event()

    class Slow(MemoryScorer):
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            gate.wait(0.05)
            with lock:
                inside -= 1
            return super().score(images, fingerprint)

    batcher = Batcher(Slow(), 1)
    pieces = [piece(i) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(batcher.add, pieces))
    for each in pieces:
        each.wait()
    assert most == 2
    batcher.close()


def test_a_closed_batcher_takes_nothing() -> None:
    batcher = Batcher(MemoryScorer(), 1)
    batcher.close()
    with pytest.raises(RuntimeError):
        batcher.add(piece())
