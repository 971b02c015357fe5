"""Draws images at random, by score: some flagged, some not. Pure numpy; in one pass and flat memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.domain.audits import AuditStratum

#: highest scores first: name, whether flagged
STRATA = (("flagged high", True), ("flagged low", True), ("near misses", False), ("far below", False))
#: drawn of each stratum, where it has as many
_LEAST = 2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnImage:
    """An image of the sample."""

    ordinal: int
    #: position in `STRATA`
    stratum: int


class AuditSampler:
    """Takes a job's images as they are read, and gives a sample of them.

    Each image has a pseudo-random number of its own, made of its ordinal and the seed; of each stratum those with
    the smallest numbers are drawn. So the sample does not depend on the order in which images come, nor on how many
    are read at once.
    """

    def __init__(self, *, threshold: float, size: int, seed: int) -> None:
        """`threshold`: of the job; flagged ones are cut half-way above it, the others half-way below. `size`: images
        to draw. `seed`: in [0, 2**63)."""
        self._cuts = (threshold / 2, (1 + threshold) / 2)
        self._size = size
        self._seed = seed
        self._images = [0] * len(STRATA)
        self._smallest = [(np.empty(0, np.uint64), np.empty(0, np.int64)) for _ in STRATA]

    def add(self, ordinals: NDArray[np.int64], scores: NDArray[np.float64], flagged: NDArray[np.bool_]) -> None:
        """Some images, (n,) each; none twice. Scores are in [0, 1]."""
        near, high = self._cuts
        found = np.where(flagged, np.where(scores >= high, 0, 1), np.where(scores >= near, 2, 3))
        numbers = random_numbers(ordinals, self._seed)
        for stratum in range(len(STRATA)):
            those = found == stratum
            self._images[stratum] += int(those.sum())
            self._keep(stratum, numbers[those], ordinals[those])

    def strata(self) -> list[AuditStratum]:
        """How many images each has, and how many of them are drawn."""
        return [
            AuditStratum(name=name, flagged=flagged, images=images, drawn=drawn)
            for (name, flagged), images, drawn in zip(STRATA, self._images, self._shares(), strict=True)
        ]

    def sample(self) -> list[DrawnImage]:
        """The images that are drawn, of all strata, in random order: what is reviewed first is a sample, too."""
        drawn = []
        for stratum, share in enumerate(self._shares()):
            numbers, ordinals = self._smallest[stratum]
            least = np.argsort(numbers, kind="stable")[:share]
            drawn += [DrawnImage(ordinal=int(ordinal), stratum=stratum) for ordinal in ordinals[least]]
        # by numbers of another seed: by those they were drawn by, images of large strata would all come first
        order = random_numbers(np.array([image.ordinal for image in drawn], np.int64), ~self._seed)
        return [drawn[place] for place in np.argsort(order, kind="stable")]

    def _keep(self, stratum: int, numbers: NDArray[np.uint64], ordinals: NDArray[np.int64]) -> None:
        before = self._smallest[stratum]
        numbers, ordinals = np.concatenate([before[0], numbers]), np.concatenate([before[1], ordinals])
        if len(numbers) > self._size:
            least = np.argpartition(numbers, self._size)[: self._size]
            numbers, ordinals = numbers[least], ordinals[least]
        self._smallest[stratum] = (numbers, ordinals)

    def _shares(self) -> list[int]:
        return allocated(self._images, self._size)


def allocated(images: Sequence[int], size: int) -> list[int]:
    """How many to draw of each of `STRATA`, which have so many images: all of them where the size is as large.

    Half of the sample is flagged, half is not, and what one half has no use for goes to the other. Within a half, a
    stratum's share goes by the square root of its images: between equal shares, with which each stratum is known
    alike, and proportional ones, with which their sum is known best (Bankier, The American Statistician 42, 1988).
    """
    flagged, others = sum(images[:2]), sum(images[2:])
    of_others = min(others, size - min(flagged, size // 2))
    of_flagged = min(flagged, size - of_others)
    return [*_shared(images[:2], of_flagged), *_shared(images[2:], of_others)]


def _shared(images: Sequence[int], size: int) -> list[int]:
    """By the square roots, one after the other to whoever is furthest behind (Webster's divisors)."""
    shares = [0] * len(images)
    for _ in range(size):
        hungry = [place for place, count in enumerate(images) if shares[place] < count]
        poor = [place for place in hungry if shares[place] < _LEAST]
        taker = max(poor or hungry, key=lambda place: images[place] ** 0.5 / (2 * shares[place] + 1))
        shares[taker] += 1
    return shares


def random_numbers(ordinals: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A number of 64 bits for each ordinal (n,), uniform and independent as far as anybody can see.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): distinct ordinals have distinct numbers.
    """
    start = _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64))
    return _mixed(start + (ordinals.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
