"""Alignment of a transform to a fraction of a pixel, on patches around places known to match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.geometry import Matrix, Places, chained
from ncl_model.copy_move.opencv import opencv

#: patches that are sampled at most; each is 9 x 9 pixels
_MOST_PATCHES = 48
_OFFSETS = np.arange(-4.0, 5.0)
_AFFINE_PATCHES = 6
_STEPS = 3
#: a step farther than this (pixels, at the outer patches) has lost its way
_LONGEST_STEP = 4.0
_LEAST_GAIN = 0.2
#: patches of a lower standard deviation than this count as if they had it
_LEAST_DEVIATION = 1.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slopes:
    """A grey picture and its derivatives, (H, W) float32 each."""

    grey: NDArray[np.float32]
    across: NDArray[np.float32]
    down: NDArray[np.float32]

    @classmethod
    def of(cls, grey: NDArray[np.float32]) -> Self:
        """Sobel's."""
        cv2 = opencv()
        across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        return cls(grey=grey, across=across, down=cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8))


def align(slopes: Slopes, matrix: Matrix, places: Places) -> tuple[Matrix, float] | None:
    """(transform, median ZNCC of the patches around ``places`` and their images), the best of a few steps.

    Gauss-Newton on the pixels; means and the common contrast of patches do not matter. None when fewer than two
    patches lie in the picture. Source: Lucas and Kanade, IJCAI 1981; Baker and Matthews, IJCV 2004.
    """
    x, y = _patches(places, slopes.grey.shape)
    if len(x) < 2:
        return None
    values = _centred(slopes.grey[y.astype(np.int64), x.astype(np.int64)].astype(np.float64))
    best = (matrix, -1.0)
    for _ in range(_STEPS + 1):
        there = _centred(_sampled(slopes.grey, matrix, x, y))
        score = _median_zncc(values, there)
        if score > best[1]:
            best = (matrix, score)
        step = _step(slopes, matrix, x, y, values, there)
        if step is None:
            break
        matrix = chained(step, matrix)
    return best


def _patches(places: Places, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """(patches, 81) columns and rows of whole pixels, all inside the picture."""
    if len(places) > _MOST_PATCHES:
        places = places[np.linspace(0, len(places) - 1, _MOST_PATCHES).astype(np.int64)]
    x = np.rint(places.real)[:, None] + np.tile(_OFFSETS, len(_OFFSETS))
    y = np.rint(places.imag)[:, None] + np.repeat(_OFFSETS, len(_OFFSETS))
    inside = (x.min(axis=1) >= 0) & (y.min(axis=1) >= 0) & (x.max(axis=1) < shape[1]) & (y.max(axis=1) < shape[0])
    return x[inside], y[inside]


def _sampled(picture: NDArray[np.float32], matrix: Matrix, x: Floats, y: Floats) -> Floats:
    cv2 = opencv()
    to_x = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]).astype(np.float32)
    to_y = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]).astype(np.float32)
    sampled = cv2.remap(picture, to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, dtype=np.float64)


def _centred(patches: Floats) -> Floats:
    return np.asarray(patches - patches.mean(axis=1, keepdims=True))


def _median_zncc(first: Floats, second: Floats) -> float:
    products = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    least = first.shape[1] * _LEAST_DEVIATION**2
    return float(np.median((first * second).sum(axis=1) / np.maximum(products, least)))


def _step(slopes: Slopes, matrix: Matrix, x: Floats, y: Floats, values: Floats, there: Floats) -> Matrix | None:
    """What to do before ``matrix``; None when it cannot be told or goes too far."""
    middle = np.array([x.mean(), y.mean()])
    radius = max(float(x.std()), float(y.std()), 4.0)
    u, v = (x - middle[0]) / radius, (y - middle[1]) / radius
    across, down = _sampled(slopes.across, matrix, x, y), _sampled(slopes.down, matrix, x, y)
    gx, gy = across * matrix[0, 0] + down * matrix[1, 0], across * matrix[0, 1] + down * matrix[1, 1]
    if len(x) >= _AFFINE_PATCHES:
        terms = [gx * u, gx * v, gy * u, gy * v, gx, gy]
    else:
        terms = [gx * u + gy * v, gy * u - gx * v, gx, gy]
    columns = np.stack([*map(_centred, terms), there], axis=-1).reshape(-1, len(terms) + 1)
    normal = columns.T @ columns
    normal[np.diag_indices(len(normal))] += 1e-6 * np.trace(normal) / len(normal) + 1e-9
    *move, gain = np.linalg.solve(normal, columns.T @ values.ravel())
    if gain < _LEAST_GAIN or max(np.abs(move)) > _LONGEST_STEP * gain:
        return None
    if len(terms) == 4:
        move = [move[0], -move[1], move[1], move[0], *move[2:]]
    a, b, c, d, *shift = np.array(move) / gain
    linear = np.array([[a, b], [c, d]]) / radius
    return np.concatenate([np.eye(2) + linear, (np.array(shift) - linear @ middle)[:, None]], axis=1)
