"""The colour scale of probabilities: dark blue is 0, bright yellow is 1, on every picture. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

#: nine anchors of matplotlib's "plasma" (CC0): its lightness rises evenly, so equal steps of probability look like
#: equal steps, also in grey print and for people who see red and green alike
ANCHORS = (
    (13, 8, 135),
    (76, 2, 161),
    (126, 3, 168),
    (169, 35, 149),
    (204, 71, 120),
    (230, 108, 92),
    (248, 149, 64),
    (253, 197, 39),
    (240, 249, 33),
)


def scale_colours(steps: int = 256) -> NDArray[np.uint8]:
    """(steps, 3) uint8 RGB from probability 0 to 1, linear between the anchors."""
    anchors = np.asarray(ANCHORS, dtype=np.float64)
    places, wanted = np.linspace(0.0, 1.0, len(anchors)), np.linspace(0.0, 1.0, steps)
    return np.rint(np.stack([np.interp(wanted, places, anchors[:, c]) for c in range(3)], axis=1)).astype(np.uint8)


def coloured(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(H, W) probabilities to (H, W, 3) uint8 RGB on the fixed scale from 0 to 1."""
    steps = np.rint(np.clip(probabilities, 0.0, 1.0) * 255).astype(np.intp)
    result: NDArray[np.uint8] = scale_colours()[steps]
    return result
