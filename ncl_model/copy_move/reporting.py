"""Verified copies in the terms of the photograph: fractions of its sides, its pixels, a map of both ends."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.evidence import CopiedPair, FractionBox, FractionLine
from ncl_model.copy_move.geometry import Places, nearest_similarity
from ncl_model.copy_move.measuring import Verified
from ncl_model.copy_move.opencv import opencv
from ncl_model.copy_move.weighing import is_mirrored

#: lines of one pair
_MOST_LINES = 12
#: holes of a region up to about this many pixels wide are filled
_HOLE = 7


@dataclass(frozen=True, kw_only=True, eq=False)
class WeighedCopy:
    """One verified transform with its weight."""

    verified: Verified
    #: (n,) matches that agree, pixels of the canvas
    sources: Places
    targets: Places
    #: log(1 + odds)
    statistic: float


def describe(copy: WeighedCopy, canvas: tuple[int, int], photo: tuple[int, int]) -> CopiedPair:
    """The record of a copy on a ``canvas`` (height, width) of a ``photo`` (height, width)."""
    verified = copy.verified
    first, second = ends(verified, canvas)
    mirrored = is_mirrored(verified.matrix)
    a = nearest_similarity(verified.matrix * np.array([-1, 1, 1]) if mirrored else verified.matrix)
    x_factor, y_factor = photo[1] / canvas[1], photo[0] / canvas[0]
    return CopiedPair(
        first=_box(first),
        second=_box(second),
        angle_deg=math.degrees(cmath.phase(a)),
        scale=abs(a),
        mirrored=mirrored,
        shift_px=(verified.shift.real * x_factor, verified.shift.imag * y_factor),
        inliers=len(copy.sources),
        zncc=verified.zncc,
        residual_zncc=verified.residual_zncc,
        area_px=round(int(first.sum()) * x_factor * y_factor),
        statistic=copy.statistic,
        lines=_lines(copy, canvas),
    )


def ends(verified: Verified, canvas: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(h, w) of the canvas: the region, holes filled, and its image."""
    cv2 = opencv()
    left, top, right, bottom = verified.box
    first = np.zeros(canvas, np.uint8)
    first[top:bottom, left:right] = verified.region
    first = cv2.morphologyEx(first, cv2.MORPH_CLOSE, np.ones((_HOLE, _HOLE), np.uint8))
    second = cv2.warpAffine(first, verified.matrix, canvas[::-1], flags=cv2.INTER_NEAREST)
    return first.astype(np.bool_), second.astype(np.bool_)


def draw_map(copies: list[WeighedCopy], canvas: tuple[int, int], photo: tuple[int, int]) -> NDArray[np.float32]:
    """(height, width) float32 of the photograph: 1 - exp(-statistic), the probability, at both ends; 0 elsewhere."""
    drawn = np.zeros(canvas, np.float32)
    for copy in copies:
        first, second = ends(copy.verified, canvas)
        drawn = np.maximum(drawn, np.float32(-math.expm1(-copy.statistic)) * (first | second))
    if canvas != photo:
        drawn = opencv().resize(drawn, photo[::-1], interpolation=opencv().INTER_LINEAR)
    return np.asarray(np.clip(drawn, 0, 1), dtype=np.float32)


def _box(region: NDArray[np.bool_]) -> FractionBox:
    """Of the pixels of a region; all of the canvas where it has none."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 1.0, 1.0
    height, width = region.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _lines(copy: WeighedCopy, canvas: tuple[int, int]) -> tuple[FractionLine, ...]:
    some = np.unique(np.linspace(0, len(copy.sources) - 1, _MOST_LINES).astype(np.int64))
    places = np.stack([copy.sources[some], copy.targets[some]], axis=1).view(np.float64) + 0.5
    fractions = np.clip(places / np.array([canvas[1], canvas[0]] * 2), 0, 1)
    return tuple((line[0], line[1], line[2], line[3]) for line in fractions.tolist())
