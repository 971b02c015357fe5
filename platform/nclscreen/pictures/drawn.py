"""What a reviewer drew, in colour, to be laid over the photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.domain.drawings import AUTHENTIC, TAMPERED

#: of tampered and of authentic pixels; unlike each other to people who see red and green alike, too, and the same as
#: in pages/static/sketch.js
TAMPERED_COLOUR, AUTHENTIC_COLOUR = (255, 32, 110), (0, 190, 255)
#: of 255: the photograph is seen through; edges are not
_INSIDE, _EDGE = 90, 255


def coloured_drawing(labels: NDArray[np.uint8]) -> Image.Image:
    """RGBA of a drawing's pixels, (H, W) with the values of `jobs.domain.drawings`; what is unknown is clear."""
    colours = np.zeros((*labels.shape, 4), np.uint8)
    for value, colour in ((TAMPERED, TAMPERED_COLOUR), (AUTHENTIC, AUTHENTIC_COLOUR)):
        colours[labels == value] = (*colour, _INSIDE)
    colours[..., 3][_edges(labels) & (labels > 0)] = _EDGE
    return Image.fromarray(colours)


def _edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels beside one of another value."""
    edges = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        for step in (1, -1):
            edges |= labels != np.roll(labels, step, axis)
    edges[0], edges[-1], edges[:, 0], edges[:, -1] = True, True, True, True
    return edges
