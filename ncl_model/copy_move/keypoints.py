"""Keypoints with descriptors, spread over the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.geometry import Places
from ncl_model.copy_move.opencv import opencv

#: length of a descriptor. Its 128 numbers are whole, so a product of two is exact in float32, whatever the order of
#: the sum: matching does not depend on the processor or the number of threads
DESCRIPTOR_LENGTH = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class Keypoints:
    """N keypoints of one picture."""

    #: (N,) in pixels of the picture
    places: Places
    #: (N,) pixels
    sizes: NDArray[np.float64]
    #: (N,) radians, clockwise on the screen
    angles: NDArray[np.float64]
    #: (N, 128) whole numbers of 0 to 512; each row about ``DESCRIPTOR_LENGTH`` long
    descriptors: NDArray[np.float32]


def find_keypoints(grey: NDArray[np.uint8], config: CopyMoveConfig) -> Keypoints:
    """At most ``config.max_keypoints`` of ``grey`` (h, w).

    SIFT (Lowe, IJCV 2004), square roots of its descriptors (RootSIFT: Arandjelovic and Zisserman, CVPR 2012).
    """
    sift = opencv().SIFT_create(
        0, 3, config.contrast_threshold, config.edge_threshold, 1.6, enable_precise_upscale=True
    )
    found = _spread(sift.detect(grey, None), grey.shape, config)
    if not found:
        return Keypoints(
            places=np.empty(0, np.complex128),
            sizes=np.empty(0),
            angles=np.empty(0),
            descriptors=np.empty((0, 128), np.float32),
        )
    found, histograms = sift.compute(grey, found)
    return Keypoints(
        places=np.array([complex(*point.pt) for point in found]),
        sizes=np.array([point.size for point in found], dtype=np.float64),
        angles=np.radians(np.array([point.angle for point in found], dtype=np.float64)),
        descriptors=_rooted(histograms),
    )


def _spread(found: Sequence[Any], shape: Sequence[int], config: CopyMoveConfig) -> list[Any]:
    """The strongest of every cell, then the second of every cell, ...: a busy corner must not use up the limit."""
    if len(found) <= config.max_keypoints:
        return list(found)
    side = config.keypoint_cells
    places = np.array([point.pt for point in found])
    columns = np.clip(places[:, 0] * side // shape[1], 0, side - 1).astype(np.int64)
    rows = np.clip(places[:, 1] * side // shape[0], 0, side - 1).astype(np.int64)
    cells = rows * side + columns
    strength = np.array([point.response for point in found])
    order = np.lexsort((np.arange(len(found)), -strength, cells))
    first = np.searchsorted(cells[order], np.arange(side * side))
    turn = np.empty(len(found), np.int64)
    turn[order] = np.arange(len(found)) - first[cells[order]]
    chosen = np.lexsort((np.arange(len(found)), -strength, turn))[: config.max_keypoints]
    return [found[index] for index in np.sort(chosen)]


def _rooted(histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = np.maximum(histograms.sum(axis=1, keepdims=True, dtype=np.float64), 1.0)
    return np.asarray(np.rint(np.sqrt(histograms / sums) * DESCRIPTOR_LENGTH), dtype=np.float32)
