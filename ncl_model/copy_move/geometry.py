"""Affine transforms of places in a picture. x points right, y down; the centre of the first pixel is (0, 0)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: (n,) complex128: x + iy, pixels
Places = NDArray[np.complex128]
#: (2, 3) float64: linear part and shift, pixels
Matrix = NDArray[np.float64]

#: an affine fit needs so many places, this far off one line
_AFFINE_PLACES = 6
_AFFINE_SPREAD_PX = 8.0
_AFFINE_ROUNDNESS = 0.25


def moved(matrix: Matrix, places: Places) -> Places:
    """Where the transform puts the places."""
    x, y = places.real, places.imag
    across = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    down = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return np.asarray(across + 1j * down, dtype=np.complex128)


def chained(first: Matrix, second: Matrix) -> Matrix:
    """The transform that does ``first``, then ``second``."""
    linear = second[:, :2] @ first[:, :2]
    return _joined(linear, second[:, :2] @ first[:, 2] + second[:, 2])


def inverse(matrix: Matrix) -> Matrix:
    """The way back. Raises numpy.linalg.LinAlgError for a transform that flattens."""
    linear = np.asarray(np.linalg.inv(matrix[:, :2]), dtype=np.float64)
    return _joined(linear, -linear @ matrix[:, 2])


def resizing(x_factor: float, y_factor: float) -> Matrix:
    """From the pixels of a picture to those of the same picture resized by these factors."""
    return np.array([[x_factor, 0, (x_factor - 1) / 2], [0, y_factor, (y_factor - 1) / 2]])


def reflection() -> Matrix:
    """Left and right changed, at x = 0."""
    return np.array([[-1.0, 0, 0], [0, 1, 0]])


def nearest_similarity(matrix: Matrix) -> complex:
    """a of the z -> a z + b nearest to the transform: its size is the scale, its angle the turn."""
    return complex(matrix[0, 0] + matrix[1, 1], matrix[1, 0] - matrix[0, 1]) / 2


def stretches(matrix: Matrix) -> tuple[float, float]:
    """Longest and shortest image of a line one pixel long."""
    values = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return float(values[0]), float(values[1])


def fitted(sources: Places, targets: Places, *, affine: bool) -> Matrix | None:
    """The least-squares similarity, or affine transform where the places allow one, from sources to targets.

    None for fewer than two places, or places that coincide.
    """
    if len(sources) < 2:
        return None
    z, w = sources - sources.mean(), targets - targets.mean()
    energy = float((np.abs(z) ** 2).sum())
    if energy < 1e-6:
        return None
    a = complex((z.conj() * w).sum() / energy)
    linear = np.array([[a.real, -a.imag], [a.imag, a.real]])
    points = np.stack([z.real, z.imag], axis=1)
    if affine and _carries_affine(points):
        linear = np.linalg.lstsq(points, np.stack([w.real, w.imag], axis=1), rcond=None)[0].T
    from_, to = complex(sources.mean()), complex(targets.mean())
    return _joined(linear, np.array([to.real, to.imag]) - linear @ np.array([from_.real, from_.imag]))


def _joined(linear: NDArray[np.float64], shift: NDArray[np.float64]) -> Matrix:
    return np.concatenate([linear, shift[:, None]], axis=1)


def _carries_affine(points: NDArray[np.float64]) -> bool:
    if len(points) < _AFFINE_PLACES:
        return False
    length, breadth = np.linalg.svd(points, compute_uv=False)
    return bool(breadth > _AFFINE_SPREAD_PX and breadth > _AFFINE_ROUNDNESS * length)
