"""The two grey pictures a search works on, and how their pixels relate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.geometry import Matrix, resizing
from ncl_model.copy_move.opencv import opencv


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One photograph, grey, at two sizes."""

    #: (h, w): at most ``canvas_side`` long; transforms are verified here
    canvas: NDArray[np.uint8]
    #: (h, w): keypoints are found here
    keypoint_picture: NDArray[np.uint8]
    #: from pixels of the keypoint picture to those of the canvas
    to_canvas: Matrix
    #: the canvas has the photograph's own pixels
    native: bool


def prepare(pixels: NDArray[np.uint8], config: CopyMoveConfig) -> Prepared:
    """``pixels`` (H, W, 3) RGB, reduced by areas to the canvas; enlarged or reduced again for the keypoints.

    A photograph with a side of zero is none; very long ones keep at least one pixel of breadth.
    """
    cv2 = opencv()
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    longest = max(grey.shape)
    canvas = _resized(grey, min(1.0, config.canvas_side / longest))
    longest = max(canvas.shape)
    factor = min(1.0, config.keypoint_side / longest)
    if longest < config.keypoint_least_side:
        factor = min(config.most_enlarged, config.keypoint_least_side / longest)
    picture = _resized(canvas, factor)
    return Prepared(
        canvas=canvas,
        keypoint_picture=picture,
        to_canvas=resizing(canvas.shape[1] / picture.shape[1], canvas.shape[0] / picture.shape[0]),
        native=canvas.shape == grey.shape,
    )


def _resized(grey: Any, factor: float) -> Any:
    if factor == 1.0:
        return grey
    cv2 = opencv()
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
