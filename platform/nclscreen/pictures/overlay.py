"""A heatmap laid over its photograph."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nclscreen.pictures.colours import colour_table


def overlay(photo: Image.Image, heatmap: NDArray[np.uint8]) -> Image.Image:
    """The photograph (RGB, any size) with the heatmap, (h, w) uint8 at the model's resolution, in colour over it.

    255 is probability 1. The scale is fixed: a map that is 0.1 everywhere stays almost invisible. Raises ValueError
    for a heatmap of another shape or type.
    """
    if heatmap.ndim != 2 or heatmap.size == 0 or heatmap.dtype != np.uint8:
        raise ValueError(f"a heatmap is (h, w) uint8 and not empty, got {heatmap.shape} {heatmap.dtype}")
    grey = Image.fromarray(heatmap)
    if grey.size != photo.size:
        grey = grey.resize(photo.size, Image.Resampling.BILINEAR)
    colours = Image.fromarray(_table()[np.asarray(grey)])
    return Image.alpha_composite(photo.convert("RGBA"), colours).convert("RGB")


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint8]:
    return colour_table()
