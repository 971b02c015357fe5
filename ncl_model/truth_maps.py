"""Truth maps: what is known of each pixel, where people drew scribbles or said no more than "tampered with"."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

#: (H, W) uint8 of ``AUTHENTIC``, ``TAMPERED``, ``UNKNOWN``
TruthMap = NDArray[np.uint8]

AUTHENTIC, TAMPERED, UNKNOWN = 0, 1, 2

#: what goes along with a photograph: a mask, True = tampered, or a truth map
Marks = TypeVar("Marks", NDArray[np.bool_], TruthMap)


def truth_map(mask: NDArray[np.bool_], known: NDArray[np.bool_]) -> TruthMap:
    """From two masks of one shape: what was tampered with, and where that is known."""
    return np.where(known, mask, np.uint8(UNKNOWN)).astype(np.uint8)


def label_of(truth: TruthMap) -> int:
    """Of a whole map: 1 when something is tampered, 0 when nothing is, -1 when nobody knows."""
    if (truth == TAMPERED).any():
        return 1
    return -1 if (truth == UNKNOWN).any() else 0
