"""The paper's robustness suite: what recompression, resizing, blur and noise leave of the figures.

Zhou et al., ICCV 2023: resize 0.78x and 0.25x, Gaussian blur with kernel 3 and 5, Gaussian noise with sigma 3 and 5 (of
255), JPEG at quality 100 and 50. Where the paper is silent (resampling, the blur's sigma, subsampling) the choice is
ours and written at the distortion. Deterministic: the noise is seeded by the file's own bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.imaging.decoding import decode_photo
from ncl_model.imaging.encoding import bitmap, jpeg_file

Kind = Literal["clean", "resize", "blur", "noise", "jpeg"]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """One way to wear a photograph out. Called with a file's bytes, gives a file's bytes."""

    kind: Kind
    #: scale, kernel side in pixels, sigma in grey levels of 255, or JPEG quality; 0 for "clean"
    amount: float = 0.0

    @property
    def name(self) -> str:
        """Short and unique in the suite: "resize 0.78", "jpeg 50"."""
        return self.kind if self.kind == "clean" else f"{self.kind} {self.amount:g}"

    def __call__(self, data: bytes) -> bytes:
        """The photograph as it reaches the predictor; "clean" leaves the file as it is.

        Everything else is decoded at native size, upright, and distorted; the result is JPEG for "jpeg" and an
        uncompressed picture otherwise. Raises ImageUnreadable.
        """
        if self.kind == "clean":
            return data
        pixels = decode_photo(data)
        if self.kind == "jpeg":
            return jpeg_file(pixels, int(self.amount))
        if self.kind == "resize":
            return bitmap(resized(pixels, self.amount))
        if self.kind == "blur":
            return bitmap(blurred(pixels, int(self.amount)))
        return bitmap(noisy(pixels, self.amount, seed=data))


#: the suite; the first entry is the reference
SUITE: tuple[Distortion, ...] = (
    Distortion(kind="clean"),
    Distortion(kind="resize", amount=0.78),
    Distortion(kind="resize", amount=0.25),
    Distortion(kind="blur", amount=3),
    Distortion(kind="blur", amount=5),
    Distortion(kind="noise", amount=3),
    Distortion(kind="noise", amount=5),
    Distortion(kind="jpeg", amount=100),
    Distortion(kind="jpeg", amount=50),
)


def resized(pixels: Pixels, scale: float) -> Pixels:
    """(H, W, 3) to (round(H * scale), round(W * scale), 3), at least one pixel; bilinear with antialiasing [ours]."""
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def blurred(pixels: Pixels, kernel: int) -> Pixels:
    """Gaussian blur with a ``kernel`` x ``kernel`` window (odd), (H, W, 3); edges are mirrored.

    The kernel alone is given in the paper; sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8, as OpenCV derives it: 0.8 for
    3 and 1.1 for 5.
    """
    sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
    reach = kernel // 2
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2)).astype(np.float32)
    taps /= taps.sum()
    values = pixels.astype(np.float32)
    for axis in (0, 1):
        # a side shorter than the mirror needs (one pixel) can only be repeated
        mode: Literal["reflect", "edge"] = "reflect" if values.shape[axis] > reach else "edge"
        padded = np.pad(values, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode=mode)
        length = values.shape[axis]
        shifted = (np.take(padded, np.arange(i, i + length), axis=axis) * tap for i, tap in enumerate(taps))
        values = np.sum(list(shifted), axis=0)
    return _rounded(values)


def noisy(pixels: Pixels, sigma: float, *, seed: bytes) -> Pixels:
    """White Gaussian noise of ``sigma`` grey levels (of 255) on every pixel and colour, cut to 0-255.

    ``seed``: the photograph's own bytes, so that neither order nor file name changes the outcome.
    """
    rng = np.random.default_rng(list(hashlib.sha256(seed).digest()))
    return _rounded(pixels + sigma * rng.standard_normal(pixels.shape, dtype=np.float32))


def _rounded(values: NDArray[np.floating]) -> Pixels:
    result: Pixels = np.rint(values).clip(0, 255).astype(np.uint8)
    return result
