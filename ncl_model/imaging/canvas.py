"""The "fit" geometry: sizes and padding. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

from ncl_model.architecture.config import CANVAS_MINIMUM, CANVAS_MULTIPLE


def fit_size(width: int, height: int, limit: int) -> tuple[int, int]:
    """(width, height) with the aspect kept, the long side at most ``limit``, never enlarged, at least 1."""
    scale = min(1.0, limit / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def canvas_side(side: int) -> int:
    """The next multiple of 32 that holds ``side`` pixels, at least 64."""
    return max(CANVAS_MINIMUM, -(-side // CANVAS_MULTIPLE) * CANVAS_MULTIPLE)


def pad_to_canvas(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) to (H, W, 3), contiguous; the last row and column are repeated.

    Repeating the edge leaves the high-pass maps at zero there; a black border would look like a splice.
    """
    height, width = pixels.shape[:2]
    below, right = canvas_side(height) - height, canvas_side(width) - width
    return np.ascontiguousarray(np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge"))
