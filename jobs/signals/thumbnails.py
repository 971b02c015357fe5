"""Whether the thumbnail in a file shows another picture than the file: who edits may forget it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.imaging.decoding import UPRIGHT
from ncl_model.imaging.header import read_header

_SIDE = 32
_MOST_PIXELS = 640 * 640
#: of aspect ratios; cameras pad thumbnails with black bars, which is no edit
_ASPECT = 1.02
#: correlation of grey values below which they show different things; photographs of one scene reach 0.97 and more
_ALIKE = 0.9


def likeness(thumbnail: bytes, orientation: int, photo: NDArray[np.uint8]) -> float | None:
    """The correlation of thumbnail and (H, W, 3) uint8 upright photograph, in [-1, 1]; None where it cannot be said."""
    header = read_header(thumbnail)
    if header is None or not header.ordinary or not 0 < header.pixels <= _MOST_PIXELS:
        return None
    try:
        with Image.open(io.BytesIO(thumbnail), formats=("JPEG",)) as image:
            grey = image.convert("L")
            small = np.asarray(grey.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else grey)
    except Exception:  # noqa: BLE001 - a damaged thumbnail says nothing
        return None
    shown = _without_bars(small, photo.shape[1] / photo.shape[0])
    return None if shown is None else _correlation(_grey(shown), _grey(photo))


def differs(correlation: float | None) -> bool:
    """Whether the thumbnail shows something else."""
    return correlation is not None and correlation < _ALIKE


def _without_bars(small: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8] | None:
    """The middle of the thumbnail in the photograph's aspect; None for another aspect than bars explain: it was cut."""
    height, width = small.shape
    wanted_height, wanted_width = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - wanted_height) // 2, (width - wanted_width) // 2
    if top == 0 and left == 0:
        return small
    bars = [small[: max(0, top - 1)], small[height - max(0, top - 1) :], small[:, : max(0, left - 1)]]
    if any(bar.size and bar.mean() > 16 for bar in bars):
        return small if max(width / height / aspect, aspect * height / width) < _ASPECT else None
    return small[top : top + wanted_height, left : left + wanted_width]


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    image = Image.fromarray(np.ascontiguousarray(picture)).convert("L")
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0), dtype=np.float64)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if a.std() < 2 or b.std() < 2:  # nothing to be seen in one of them
        return None
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
