"""Matches of a picture's keypoints with others of the same picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.geometry import Places, moved, reflection
from ncl_model.copy_move.keypoints import DESCRIPTOR_LENGTH, Keypoints

#: descriptors compared with all others at once: the products of so many stay in a processor's caches
_ROWS = 128
#: where the numbers of a descriptor (4 rows, 4 columns, 8 directions) go when its patch is reflected at its own axis
_REFLECTED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, (-np.arange(8)) % 8].ravel()

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """M matches, each in both directions, the most distinct first.

    Where ``mirrored``, targets are those of the reflected picture, so that a mirrored copy is a similarity there.
    """

    #: (M,) pixels of the keypoint picture
    sources: Places
    #: (M,)
    targets: Places
    #: (M,) radians from the direction of the source to that of the target
    turns: Floats
    #: (M,) natural logarithm of size of the target / size of the source
    zooms: Floats
    #: (M,) distance / distance of the first neighbour that is no match: 0 to ``max_ratio``
    ratios: Floats
    mirrored: bool


def match(points: Keypoints, config: CopyMoveConfig, *, mirrored: bool) -> Matches:
    """Up to ``config.max_matches`` matches by the generalised test of two nearest neighbours.

    Of the neighbours of a descriptor, farther away in the picture than ``config.least_shift``, the nearest
    ``config.max_repeats`` are matches if they are much nearer than the one after them, which stands for chance.
    Source: Amerini et al., "A SIFT-based forensic method for copy-move attack detection", TIFS 2011.
    """
    near = list(_neighbours(points, config, mirrored))
    first, second, ratio = (np.concatenate(parts) for parts in zip(*near, strict=True)) if near else (_NONE,) * 3
    first, second, ratio = np.r_[first, second], np.r_[second, first], np.r_[ratio, ratio]
    kept = _once(points, first, second, ratio)[: config.max_matches]
    first, second = first[kept].astype(np.int64), second[kept].astype(np.int64)
    targets, angles = points.places[second], points.angles[second]
    if mirrored:
        targets, angles = moved(reflection(), targets), np.pi - angles
    return Matches(
        sources=points.places[first],
        targets=targets,
        turns=angles - points.angles[first],
        zooms=np.log(points.sizes[second] / points.sizes[first]),
        ratios=ratio[kept],
        mirrored=mirrored,
    )


_NONE = np.empty(0, np.int64)


def _neighbours(points: Keypoints, config: CopyMoveConfig, mirrored: bool) -> Iterator[tuple[Indices, Indices, Floats]]:
    """(keypoint, neighbour, how distinct: 0 to 1, less is better) of each match, some rows of keypoints at a time."""
    count = len(points.places)
    if count < config.max_repeats + 2:
        return
    theirs = np.ascontiguousarray((points.descriptors[:, _REFLECTED] if mirrored else points.descriptors).T)
    near, others = _near(points.places, config.least_shift)
    products = np.empty((min(count, _ROWS), count), np.float32)
    for begin in range(0, count, _ROWS):
        rows = points.descriptors[begin : begin + _ROWS]
        part = np.matmul(rows, theirs, out=products[: len(rows)])
        low, high = np.searchsorted(near, (begin, begin + _ROWS))
        part[near[low:high] - begin, others[low:high]] = -1
        index, best = _largest(part, config.max_repeats + 1)
        distances = np.sqrt(np.maximum(2 - 2 * best / DESCRIPTOR_LENGTH**2, 1e-6))
        ratios = distances[:, :-1] / distances[:, -1:]
        good = (ratios < config.max_ratio) & (distances[:, :-1] < config.max_distance) & (best[:, :-1] >= 0)
        row, place = np.nonzero(good)
        yield row + begin, index[row, place], ratios[row, place]


def _near(places: Places, least: float) -> tuple[Indices, Indices]:
    """All pairs of keypoints less than ``least`` pixels apart, in both directions, each with itself too; the first of
    the two rises."""
    x, y = places.real.astype(np.float32), places.imag.astype(np.float32)
    order = np.argsort(x, kind="stable")
    across = x[order]
    # candidates are those of a strip, a pixel wider than need be
    low, high = np.searchsorted(across, across - least - 1), np.searchsorted(across, across + least + 1)
    counts = high - low
    first = np.repeat(np.arange(len(x)), counts)
    second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts) + low[first]
    first, second = order[first], order[second]
    close = (x[first] - x[second]) ** 2 + (y[first] - y[second]) ** 2 < least**2
    first, second = first[close], second[close]
    rising = np.argsort(first, kind="stable")
    return first[rising], second[rising]


def _largest(products: NDArray[np.float32], count: int) -> tuple[Indices, Floats]:
    """(indices, values) of the ``count`` largest of each row, falling; ``products`` is used up."""
    rows = np.arange(len(products))
    index = np.empty((len(products), count), np.int64)
    values = np.empty((len(products), count))
    for place in range(count):
        index[:, place] = products.argmax(axis=1)
        values[:, place] = products[rows, index[:, place]]
        products[rows, index[:, place]] = -1
    return index, values


def _once(points: Keypoints, first: Indices, second: Indices, ratio: Floats) -> Indices:
    """The matches in order of their ratio, one of each pair of places: a place with two directions is there twice."""
    order = np.argsort(ratio, kind="stable")
    places = np.rint(points.places)
    pairs = np.stack([places[first[order].astype(np.int64)], places[second[order].astype(np.int64)]], axis=1)
    _, kept = np.unique(pairs.view(np.float64), axis=0, return_index=True)
    return np.asarray(order[np.sort(kept)], dtype=np.int64)
