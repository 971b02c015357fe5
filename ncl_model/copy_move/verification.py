"""Whether the pixels say what the matches say, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.alignment import Slopes, align
from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.correlation import averaged, correlate, high_pass
from ncl_model.copy_move.geometry import Matrix, Places, moved
from ncl_model.copy_move.growing import Bools, Box, Grown, box_around, grow, laid_over
from ncl_model.copy_move.opencv import opencv

#: boxes tried, each larger, while the region reaches the border of its box
_BOXES = 4
#: the first box reaches this far around the matches: pixels, and shares of their extent
_MARGIN_PX, _MARGIN_SHARE = 24.0, 0.4
#: textured pixels that a correlation needs
_LEAST_PIXELS = 16
#: patches and regions that correlate less than this are not looked at any further
_LEAST_PATCH_ZNCC, _LEAST_REGION_ZNCC = 0.55, 0.7
#: windows that guide the second alignment
_GUIDING_ZNCC = 0.75
#: the residual has texture from this standard deviation on, in grey levels
_RESIDUAL_DEVIATION = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Verified:
    """A region and its image under a transform, measured pixel by pixel on the canvas."""

    matrix: Matrix
    #: where ``region`` lies on the canvas
    box: Box
    #: (h, w) of the box: the pixels that are like their image
    region: Bools
    #: pixels of the region with texture
    textured: int
    #: mean ZNCC of textured windows, and of their high-pass residual: -1 to 1
    zncc: float
    residual_zncc: float
    #: 1 - (mean squared difference / twice the variance), median of windows: as ZNCC, but brightness and contrast count
    sameness: float
    #: median difference of brightness between the ends, grey levels
    brightness: float
    #: share of the region that lies in its own image: a copy covers what was there, so the ends of one never overlap
    overlap: float

    @property
    def centre(self) -> complex:
        """The middle of the region, pixels of the canvas."""
        rows, columns = np.nonzero(self.region)
        return complex(columns.mean() + self.box[0], rows.mean() + self.box[1])

    @property
    def shift(self) -> complex:
        """From the middle of the region to its image."""
        return complex(moved(self.matrix, np.array([self.centre]))[0]) - self.centre


def verify(slopes: Slopes, matrix: Matrix, places: Places, config: CopyMoveConfig) -> Verified | None:
    """The transform aligned, its region grown and measured; None when the pixels do not bear the matches out.

    ``matrix`` and ``places`` (sources of the matches) in pixels of the canvas, ``slopes.grey``.
    """
    aligned = align(slopes, matrix, places)
    if aligned is None or aligned[1] < _LEAST_PATCH_ZNCC:
        return None
    matrix, grown = aligned[0], None
    margin = max(_MARGIN_PX, _MARGIN_SHARE * max(np.ptp(places.real), np.ptp(places.imag)))
    for attempt in range(_BOXES):
        box = box_around(places, margin, slopes.grey.shape)
        grown = grow(slopes.grey, matrix, places, box, config) if box else None
        if grown is None or not _alike(grown):
            return None
        cut_off = grown.cut_off(slopes.grey.shape)
        if attempt == 0:
            matrix = _realigned(slopes, matrix, grown)
        elif not cut_off:
            break
        margin = 1.6 * margin + _MARGIN_PX if cut_off else margin
    return _measured(slopes, matrix, grown, config) if grown else None


def _alike(grown: Grown) -> bool:
    textured = grown.textured
    return int(textured.sum()) >= _LEAST_PIXELS and float(grown.windows.zncc[textured].mean()) >= _LEAST_REGION_ZNCC


def _realigned(slopes: Slopes, matrix: Matrix, grown: Grown) -> Matrix:
    guiding = grown.places[grown.windows.zncc[grown.textured] > _GUIDING_ZNCC]
    aligned = align(slopes, matrix, guiding)
    return aligned[0] if aligned else matrix


def _measured(slopes: Slopes, matrix: Matrix, grown: Grown, config: CopyMoveConfig) -> Verified:
    core = _core(grown.textured)
    (mean, other_mean), (variance, other_variance) = grown.windows.means, grown.windows.variances
    difference = averaged((grown.here - grown.there) ** 2, config.window)
    sameness = 1 - difference[core] / (variance[core] + other_variance[core])
    residual = correlate(high_pass(grown.here), high_pass(grown.there), config.window, _RESIDUAL_DEVIATION)
    fine = core & residual.textured
    return Verified(
        matrix=matrix,
        box=grown.box,
        region=grown.region,
        textured=int(grown.textured.sum()),
        zncc=float(grown.windows.zncc[core].mean()),
        residual_zncc=float(residual.zncc[fine].mean()) if fine.any() else 0.0,
        sameness=float(np.median(sameness)),
        brightness=float(np.median(other_mean[core] - mean[core])),
        overlap=_overlap(grown, matrix, slopes.grey.shape),
    )


def _core(textured: Bools) -> Bools:
    """Pixels whose windows lie well within the region, or the region where it is too thin for that."""
    eroded = opencv().erode(textured.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
    return eroded if int(eroded.sum()) >= _LEAST_PIXELS else textured


def _overlap(grown: Grown, matrix: Matrix, shape: tuple[int, ...]) -> float:
    left, top, right, bottom = grown.box
    whole: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    whole[top:bottom, left:right] = grown.region
    laid = laid_over(whole, matrix, grown.box)
    return float((grown.region & (laid[0] > 0)).sum() / grown.region.sum()) if laid else 0.0
