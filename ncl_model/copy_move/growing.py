"""From a few matched places to all pixels that were copied with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.correlation import Picture, WindowStatistics, correlate
from ncl_model.copy_move.geometry import Matrix, Places, moved
from ncl_model.copy_move.opencv import opencv

Bools = NDArray[np.bool_]
#: (left, top, right, bottom), pixels, right and bottom not included
Box = tuple[int, int, int, int]

#: smallest side of a box that is looked at
_LEAST_SIDE = 8
#: windows without texture are alike when their means and deviations are, in grey levels
_FLAT_MEAN, _FLAT_DEVIATION = 3.0, 1.0
#: pieces of a region are joined over gaps narrower than this many pixels
_GAP = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Grown:
    """One end of a copy: a box of the canvas and what was found in it."""

    box: Box
    #: (h, w) pixels of the box that are like their image under the transform
    region: Bools
    #: the box, and its image under the transform laid over it
    here: Picture
    there: Picture
    windows: WindowStatistics

    @cached_property
    def textured(self) -> Bools:
        """Pixels of the region whose likeness means something."""
        return self.region & self.windows.textured

    @cached_property
    def places(self) -> Places:
        """(n,) centres of the region's textured pixels on the canvas."""
        rows, columns = np.nonzero(self.textured)
        return np.asarray(columns + self.box[0] + 1j * (rows + self.box[1]), dtype=np.complex128)

    def trimmed(self) -> Grown:
        """The same without the rows and columns around the region."""
        rows, columns = np.flatnonzero(self.region.any(axis=1)), np.flatnonzero(self.region.any(axis=0))
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        left, top = self.box[0] + int(columns[0]), self.box[1] + int(rows[0])
        region = self.region[part]
        return Grown(
            box=(left, top, left + region.shape[1], top + region.shape[0]),
            region=region,
            here=self.here[part],
            there=self.there[part],
            windows=self.windows.cut(part),
        )

    def cut_off(self, shape: tuple[int, ...]) -> bool:
        """Whether the region reaches a border of the box that is not one of the canvas."""
        left, top, right, bottom = self.box
        at = self.region
        return bool(
            (left > 0 and at[:, 0].any())
            or (top > 0 and at[0].any())
            or (right < shape[1] and at[:, -1].any())
            or (bottom < shape[0] and at[-1].any())
        )


def box_around(places: Places, margin: float, shape: tuple[int, ...]) -> Box | None:
    """The box of the places and ``margin`` pixels more, within the canvas; None when next to nothing is left."""
    left, right = places.real.min() - margin, places.real.max() + margin + 1
    top, bottom = places.imag.min() - margin, places.imag.max() + margin + 1
    box = max(0, int(left)), max(0, int(top)), min(shape[1], int(right)), min(shape[0], int(bottom))
    return box if box[2] - box[0] >= _LEAST_SIDE and box[3] - box[1] >= _LEAST_SIDE else None


def grow(grey: Picture, matrix: Matrix, places: Places, box: Box, config: CopyMoveConfig) -> Grown | None:
    """The connected pixels of the box around the places that are like their image; None when it is off the canvas."""
    here = grey[box[1] : box[3], box[0] : box[2]]
    laid = laid_over(grey, matrix, box)
    if laid is None:
        return None
    there, on_canvas = laid
    windows = correlate(here, there, config.window, config.least_deviation)
    (mean, other_mean), (variance, other_variance) = windows.means, windows.variances
    flat = ~windows.textured & (np.abs(np.sqrt(variance) - np.sqrt(other_variance)) < _FLAT_DEVIATION)
    flat &= np.abs(mean - other_mean) < _FLAT_MEAN
    alike = ((windows.zncc > config.grow_zncc) | flat) & on_canvas & _far(matrix, box, config.least_move)
    region = _holding(alike, places, box)
    return Grown(box=box, region=region, here=here, there=there, windows=windows)


def laid_over(picture: NDArray[np.generic], matrix: Matrix, box: Box) -> tuple[Picture, Bools] | None:
    """(the image of the box under the transform, which of its pixels are on the picture); None when none can be."""
    cv2 = opencv()
    width, height = box[2] - box[0], box[3] - box[1]
    local = matrix.copy()
    local[:, 2] = matrix[:, :2] @ np.array([box[0], box[1]]) + matrix[:, 2]
    corners = moved(local, np.array([0, width, height * 1j, width + height * 1j]))
    left, top = max(0, int(corners.real.min()) - 3), max(0, int(corners.imag.min()) - 3)
    part = picture[top : max(0, int(corners.imag.max()) + 4), left : max(0, int(corners.real.max()) + 4)]
    if min(part.shape[:2]) < 2:
        return None
    local[:, 2] -= left, top
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(part, local, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    x, y = _images(local, width, height)
    return image, (x >= 0) & (y >= 0) & (x <= part.shape[1] - 1) & (y <= part.shape[0] - 1)


def _images(matrix: Matrix, width: int, height: int) -> tuple[Picture, Picture]:
    """Columns and rows that the pixels of a box go to."""
    exact = matrix.astype(np.float32)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return exact[0, 0] * x + exact[0, 2] + exact[0, 1] * y, exact[1, 0] * x + exact[1, 2] + exact[1, 1] * y


def _far(matrix: Matrix, box: Box, least_move: float) -> Bools:
    """Pixels of the box that move at all: what stays where it is is always like itself."""
    x, y = _images(matrix - np.eye(2, 3), box[2] - box[0], box[3] - box[1])
    still = (matrix[:, :2] - np.eye(2)) @ np.array([box[0], box[1]])
    x, y = x + np.float32(still[0]), y + np.float32(still[1])
    return np.asarray(x * x + y * y > least_move**2, dtype=np.bool_)


def _holding(alike: Bools, places: Places, box: Box) -> Bools:
    """The pieces that hold a place or lie close to one that does, without threads one pixel wide."""
    cv2 = opencv()
    opened = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    joined = cv2.dilate(opened, np.ones((_GAP, _GAP), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=4)
    columns = np.rint(places.real).astype(np.int64) - box[0]
    rows = np.rint(places.imag).astype(np.int64) - box[1]
    inside = (columns >= 0) & (rows >= 0) & (columns < alike.shape[1]) & (rows < alike.shape[0])
    holds = np.zeros(count, np.bool_)
    holds[labels[rows[inside], columns[inside]]] = True
    holds[0] = False
    return np.asarray(holds[labels] & (opened > 0), dtype=np.bool_)
