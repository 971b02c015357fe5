"""The training pipeline's laundering as a suite: a random history for each photograph, the same at every run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ncl_model.data.laundering import launder
from ncl_model.evaluation.treatments import BENIGN_SUITE, Mask, Pixels, Suite
from ncl_model.imaging.encoding import png_file

#: fixed: every run draws the same histories
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Laundering:
    """A history of crops, resizes, filters and saves, drawn by the photograph's own pixels.

    Neither order nor file name changes it. Two photographs that differ in one pixel have different histories, so
    that nothing tells the classes apart. It ends as a PNG file, as the pipeline ends in pixels.
    """

    name: str = "laundered"
    seed: int = SEED

    def __call__(self, pixels: Pixels, mask: Mask) -> tuple[bytes, Mask]:
        """(H, W, 3) uint8 and (H, W) bool to the bytes of a file and the mask of its size."""
        digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest()
        after, truth = launder(pixels, mask, np.random.default_rng([self.seed, *digest]))
        return png_file(after), truth


LAUNDERED_SUITE = Suite(name="laundered", title="After laundering", treatments=(Laundering(),))


def asked_suites(*, benign: bool = False, laundered: bool = False) -> tuple[Suite, ...]:
    """The suites that somebody asked for, in the order in which they are reported."""
    asked = ((benign, BENIGN_SUITE), (laundered, LAUNDERED_SUITE))
    return tuple(suite for wanted, suite in asked if wanted)
