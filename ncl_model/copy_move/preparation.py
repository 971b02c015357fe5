"""The pictures a search works on, and how their pixels relate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.correlation import averaged
from ncl_model.copy_move.geometry import Matrix, resizing
from ncl_model.copy_move.opencv import opencv

#: pixels of the canvas that one of the chroma stands for; JPEG stores it coarsely anyway
CHROMA_STEP = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One photograph at two sizes."""

    #: (h, w): at most ``canvas_side`` long; transforms are verified here
    canvas: NDArray[np.uint8]
    #: (h / 4, w / 4, 2): colour of the canvas, Cr and Cb, smoothed
    chroma: NDArray[np.float32]
    #: from pixels of the canvas to those of ``chroma``
    to_chroma: Matrix
    #: (h, w): keypoints are found here
    keypoint_picture: NDArray[np.uint8]
    #: from pixels of the keypoint picture to those of the canvas
    to_canvas: Matrix
    #: the canvas has the photograph's own pixels
    native: bool


def prepare(pixels: NDArray[np.uint8], config: CopyMoveConfig) -> Prepared:
    """``pixels`` (H, W, 3) RGB, not empty, reduced by areas to the canvas; reduced or enlarged for the keypoints."""
    cv2 = opencv()
    reduced = _resized(np.ascontiguousarray(pixels), min(1.0, config.canvas_side / max(pixels.shape)))
    colours = cv2.cvtColor(reduced, cv2.COLOR_RGB2YCrCb)
    canvas = np.ascontiguousarray(colours[..., 0])
    picture = _resized(canvas, min(config.most_enlarged, config.keypoint_side / max(canvas.shape)))
    chroma = averaged(_resized(colours, 1 / CHROMA_STEP)[..., 1:], 3)
    return Prepared(
        canvas=canvas,
        chroma=chroma,
        to_chroma=resizing(chroma.shape[1] / canvas.shape[1], chroma.shape[0] / canvas.shape[0]),
        keypoint_picture=picture,
        to_canvas=resizing(canvas.shape[1] / picture.shape[1], canvas.shape[0] / picture.shape[0]),
        native=canvas.shape == pixels.shape[:2],
    )


def _resized(picture: Any, factor: float) -> Any:
    if factor == 1.0:
        return picture
    cv2 = opencv()
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
