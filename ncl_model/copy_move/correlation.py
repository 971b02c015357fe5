"""Zero-mean normalised cross-correlation of two pictures, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.opencv import opencv

Picture = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowStatistics:
    """Of the window around each pixel of two pictures of one size, all (h, w); at edges pictures are mirrored."""

    #: -1 to 1; 0 where a window has no texture
    zncc: Picture
    #: windows of both pictures have texture
    textured: NDArray[np.bool_]
    #: means and variances of the first and the second picture, grey levels
    means: tuple[Picture, Picture]
    variances: tuple[Picture, Picture]

    def cut(self, part: tuple[slice, slice]) -> WindowStatistics:
        """Those of some rows and columns."""
        return WindowStatistics(
            zncc=self.zncc[part],
            textured=self.textured[part],
            means=(self.means[0][part], self.means[1][part]),
            variances=(self.variances[0][part], self.variances[1][part]),
        )


def correlate(first: Picture, second: Picture, window: int, least_deviation: float) -> WindowStatistics:
    """Windows of ``window`` x ``window`` pixels; texture is a standard deviation above ``least_deviation``."""
    mean, other_mean = averaged(first, window), averaged(second, window)
    variance = np.maximum(averaged(first * first, window) - mean * mean, 0)
    other_variance = np.maximum(averaged(second * second, window) - other_mean * other_mean, 0)
    covariance = averaged(first * second, window) - mean * other_mean
    least = np.float32(least_deviation**2)
    textured = (variance > least) & (other_variance > least)
    zncc = covariance / np.sqrt(np.maximum(variance * other_variance, least * least))
    return WindowStatistics(
        zncc=np.where(textured, np.clip(zncc, -1, 1), np.float32(0)),
        textured=textured,
        means=(mean, other_mean),
        variances=(variance, other_variance),
    )


def averaged(picture: NDArray[Any], window: int) -> Picture:
    """The mean of the window around each pixel, of every channel."""
    cv2 = opencv()
    blurred = cv2.boxFilter(picture, cv2.CV_32F, (window, window), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def high_pass(picture: Picture) -> Picture:
    """What a Gaussian of one pixel takes away: noise, grain and the finest detail."""
    return np.asarray(picture - opencv().GaussianBlur(picture, (0, 0), 1.0), dtype=np.float32)
