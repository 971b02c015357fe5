"""Pictures that are nearly the same, found by a perceptual hash: copies, also resized or lightly edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: bits of 64 in which two nearly equal pictures may differ [ours]
MAX_DISTANCE = 7
#: largest mean difference of their 16x16 grey thumbnails, in grey levels of 0 to 255 [ours]
MAX_DIFFERENCE = 12.0
_SIDE = 16
#: pairs compared at once
_CHUNK = 200_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprint:
    """What a picture looks like from afar."""

    #: dHash: for 8x8 places, whether the picture gets brighter to the right
    bits: int
    #: (16, 16) uint8 grey
    thumbnail: NDArray[np.uint8]


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint:
    """Of a picture (H, W, 3) uint8. Source of the hash: Krawetz, "Kind of like that", hackerfactor.com, 2013."""
    grey = Image.fromarray(pixels).convert("L")
    places = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    brighter = (places[:, 1:] > places[:, :-1]).ravel()
    bits = int.from_bytes(np.packbits(brighter).tobytes(), "big")
    return Fingerprint(bits=bits, thumbnail=np.array(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX)))


def near_pairs(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """(i, j), i < j, of all pictures that are nearly the same, each pair once.

    Hashes are cut into one band more than they may differ in bits, so two near ones agree in some band whole
    (pigeonhole): only pictures that share a band are compared, never all with all.
    """
    if len(fingerprints) < 2:
        return
    bits = np.array([f.bits for f in fingerprints], np.uint64)
    thumbnails = np.stack([f.thumbnail.ravel() for f in fingerprints]).astype(np.int16)
    seen: set[tuple[int, int]] = set()
    for lefts, rights in _candidates(bits):
        near = np.bitwise_count(bits[lefts] ^ bits[rights]) <= MAX_DISTANCE
        left, right = lefts[near], rights[near]
        alike = np.abs(thumbnails[left] - thumbnails[right]).mean(axis=1) <= MAX_DIFFERENCE
        for i, j in zip(left[alike].tolist(), right[alike].tolist(), strict=True):
            if (i, j) not in seen:
                seen.add((i, j))
                yield i, j


def _candidates(bits: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Index arrays of pairs i < j that agree in one of the bands, in pieces of bounded size."""
    width = 64 // (MAX_DISTANCE + 1)
    for band in range(MAX_DISTANCE + 1):
        keys = (bits >> np.uint64(band * width)) & np.uint64(2**width - 1)
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.diff(keys[order])) + 1
        for members in np.split(order, bounds):
            rows_at_once = max(1, _CHUNK // len(members))
            for first in range(0, len(members) - 1, rows_at_once):
                rows = np.arange(first, min(first + rows_at_once, len(members)))
                left, right = np.meshgrid(rows, np.arange(len(members)), indexing="ij")
                above = right > left
                yield members[left[above]], members[right[above]]
