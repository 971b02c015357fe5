"""What the pixels of a region and its image have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.correlation import correlate, high_pass
from ncl_model.copy_move.geometry import Matrix, Places, moved
from ncl_model.copy_move.growing import Bools, Box, Grown, laid_over
from ncl_model.copy_move.opencv import opencv
from ncl_model.copy_move.preparation import Prepared

#: pixels whose windows lie within the region that figures need, or they are taken of all of it
_LEAST_CORE = 16
#: places whose colour is compared
_COLOURS = 400
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
    #: median difference between the ends of a window's brightness, and of the colour (Cr and Cb added): grey levels
    brightness: float
    colour: float
    #: share of the region that lies in its own image: a copy covers what was there, so the ends of one never overlap
    overlap: float

    @cached_property
    def centre(self) -> complex:
        """The middle of the region, pixels of the canvas."""
        by_column, by_row = self.region.sum(axis=0), self.region.sum(axis=1)
        x = (by_column * np.arange(len(by_column))).sum() / by_column.sum()
        return complex(x + self.box[0], (by_row * np.arange(len(by_row))).sum() / by_row.sum() + self.box[1])

    @property
    def shift(self) -> complex:
        """From the middle of the region to its image."""
        return complex(moved(self.matrix, np.array([self.centre]))[0]) - self.centre


def measure(prepared: Prepared, matrix: Matrix, grown: Grown, config: CopyMoveConfig) -> Verified:
    """Of a region on ``prepared.canvas`` and its image under ``matrix``."""
    core = _core(grown.textured)
    windows = grown.windows
    (mean, other_mean), (variance, other_variance) = windows.means, windows.variances
    apart = np.abs(other_mean - mean)[core]
    product = np.sqrt(variance * other_variance)[core]
    sameness = (2 * windows.zncc[core] * product - apart**2) / (variance + other_variance)[core]
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
        brightness=float(np.median(apart)),
        colour=_colour(prepared, matrix, grown.places),
        overlap=_overlap(grown, matrix, prepared.canvas.shape),
    )


def _core(textured: Bools) -> Bools:
    """Pixels whose windows lie well within the region, or the region where it is too thin for that."""
    eroded = opencv().erode(textured.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
    return eroded if int(eroded.sum()) >= _LEAST_CORE else textured


def _colour(prepared: Prepared, matrix: Matrix, places: Places) -> float:
    some = places[np.linspace(0, len(places) - 1, min(len(places), _COLOURS)).astype(np.int64)]
    here, there = (_sampled(prepared, ends) for ends in (some, moved(matrix, some)))
    return float(np.median(np.abs(here - there).sum(axis=-1)))


def _sampled(prepared: Prepared, places: Places) -> NDArray[np.float32]:
    """(1, n, 2): the chroma at places of the canvas."""
    at = moved(prepared.to_chroma, places)
    x, y = at.real[None].astype(np.float32), at.imag[None].astype(np.float32)
    cv2 = opencv()
    return np.asarray(cv2.remap(prepared.chroma, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _overlap(grown: Grown, matrix: Matrix, shape: tuple[int, ...]) -> float:
    left, top, right, bottom = grown.box
    whole: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    whole[top:bottom, left:right] = grown.region
    laid = laid_over(whole, matrix, grown.box)
    return float((grown.region & (laid[0] > 0)).sum() / grown.region.sum()) if laid else 0.0
