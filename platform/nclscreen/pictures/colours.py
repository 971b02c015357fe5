"""The colour scale of probabilities: 0 is clear, 1 is bright yellow, and a colour means the same on every picture.

Nine anchors of matplotlib's "plasma" (CC0), interpolated in between: its lightness rises evenly, so equal steps of
probability look like equal steps, also in grey print and for people who see red and green alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncl_model.evaluation.colours import ANCHORS

#: below this probability the photograph shows untouched; from `_FULL_FROM` on the colour is as dense as it gets
_CLEAR_UP_TO = 0.05
_FULL_FROM = 0.60
#: dense enough to judge the colour, thin enough to see what is under it
_MOST_OPAQUE = 0.78
#: what a person reads on a legend
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEGEND_TITLE = "probability of tampering"


def colour_table() -> NDArray[np.uint8]:
    """(256, 4) uint8 RGBA: the colour of heatmap value v, which is probability v / 255, at row v."""
    probability = np.arange(256) / 255.0
    anchors = np.asarray(ANCHORS, dtype=np.float64)
    places = np.linspace(0.0, 1.0, len(anchors))
    colours = [np.interp(probability, places, anchors[:, channel]) for channel in range(3)]
    rise = np.clip((probability - _CLEAR_UP_TO) / (_FULL_FROM - _CLEAR_UP_TO), 0.0, 1.0)
    # smoothstep: no visible edge where the colour begins
    opacity = 255.0 * _MOST_OPAQUE * rise * rise * (3.0 - 2.0 * rise)
    return np.rint(np.stack([*colours, opacity], axis=1)).astype(np.uint8)


def css_gradient(steps: int = 17) -> str:
    """The same scale as a CSS gradient from left (0) to right (1)."""
    table = colour_table()
    stops = []
    for step in range(steps):
        red, green, blue, opacity = (int(value) for value in table[round(255 * step / (steps - 1))])
        stops.append(f"rgba({red},{green},{blue},{opacity / 255:.3f}) {100 * step / (steps - 1):.2f}%")
    return f"linear-gradient(to right, {', '.join(stops)})"
