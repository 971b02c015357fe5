"""Whether the pixels say what the matches say."""

from __future__ import annotations

import numpy as np

from ncl_model.copy_move.alignment import Slopes, align
from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.geometry import Matrix, Places, moved
from ncl_model.copy_move.growing import Grown, box_around, grow
from ncl_model.copy_move.measuring import Verified, measure
from ncl_model.copy_move.preparation import Prepared

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
#: a region is grown again where alignment moved the image of one of its pixels this far
_LEAST_MOVE_PX = 0.2


class Verifier:
    """Holds transforms of one photograph against its pixels, until it has looked at as many as it may."""

    def __init__(self, prepared: Prepared, config: CopyMoveConfig) -> None:
        self._prepared = prepared
        self._config = config
        self._slopes = Slopes.of(prepared.canvas.astype(np.float32))
        self._pixels_left = config.max_looks * prepared.canvas.size

    @property
    def exhausted(self) -> bool:
        """It has looked at all the pixels that it may: a facade could go on for long."""
        return self._pixels_left <= 0

    def verify(self, matrix: Matrix, places: Places) -> Verified | None:
        """The transform aligned, its region grown and measured; None when the pixels do not bear the matches out.

        ``matrix`` and ``places`` (sources of the matches) in pixels of the canvas.
        """
        aligned = align(self._slopes, matrix, places)
        if aligned is None or aligned[1] < _LEAST_PATCH_ZNCC:
            return None
        matrix, grown = aligned[0], None
        margin = max(_MARGIN_PX, _MARGIN_SHARE * max(np.ptp(places.real), np.ptp(places.imag)))
        for attempt in range(_BOXES):
            grown = self._grown(matrix, places, margin)
            if grown is None or not _alike(grown):
                return None
            cut_off, before = grown.cut_off(self._prepared.canvas.shape), matrix
            if attempt == 0:
                matrix = self._realigned(matrix, grown)
            if self.exhausted or (not cut_off and _differ_little(before, matrix, grown)):
                break
            margin = 1.6 * margin + _MARGIN_PX if cut_off else margin
        if grown is None:
            return None
        self._pixels_left -= grown.region.size
        return measure(self._prepared, matrix, grown.trimmed(), self._config)

    def _grown(self, matrix: Matrix, places: Places, margin: float) -> Grown | None:
        box = box_around(places, margin, self._prepared.canvas.shape)
        if box is None:
            return None
        self._pixels_left -= (box[2] - box[0]) * (box[3] - box[1])
        return grow(self._slopes.grey, matrix, places, box, self._config)

    def _realigned(self, matrix: Matrix, grown: Grown) -> Matrix:
        guiding = grown.places[grown.windows.zncc[grown.textured] > _GUIDING_ZNCC]
        aligned = align(self._slopes, matrix, guiding)
        return aligned[0] if aligned else matrix


def _alike(grown: Grown) -> bool:
    textured = grown.textured
    return int(textured.sum()) >= _LEAST_PIXELS and float(grown.windows.zncc[textured].mean()) >= _LEAST_REGION_ZNCC


def _differ_little(first: Matrix, second: Matrix, grown: Grown) -> bool:
    places = grown.places[:: max(1, len(grown.places) // 64)]
    return float(np.abs(moved(first, places) - moved(second, places)).max()) < _LEAST_MOVE_PX
