"""What is done to photographs before they are judged, authentic and tampered ones alike, their masks with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ncl_model.data.file_bytes import read_file
from ncl_model.data.sample import Sample
from ncl_model.evaluation.records import read_mask
from ncl_model.imaging.benign import BENIGN
from ncl_model.imaging.decoding import decode_photo

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Treatment(Protocol):
    """One way to treat a photograph; the same pixels always give the same file."""

    @property
    def name(self) -> str:
        """Short and unique in its suite."""
        ...

    def __call__(self, pixels: Pixels, mask: Mask) -> tuple[bytes, Mask]:
        """(H, W, 3) uint8 and (H, W) bool to the bytes of a file and the mask of its size."""
        ...


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Treatments that are reported together."""

    #: in file names and JSON
    name: str
    #: over its tables
    title: str
    treatments: Sequence[Treatment]


BENIGN_SUITE = Suite(name="benign", title="After benign operations", treatments=BENIGN)


@dataclass(frozen=True, kw_only=True, eq=False)
class Treated:
    """A photograph after a treatment, as any model gets it."""

    suite: str
    treatment: str
    #: a whole file
    data: bytes
    #: (H, W) bool of the photograph in the file; None as for the sample
    mask: Mask | None


class Versions:
    """The treated versions of one photograph: decoded once, made once, however many models look at them."""

    def __init__(self, sample: Sample, suites: Sequence[Suite]) -> None:
        self._sample = sample
        self._suites = suites

    @cached_property
    def all(self) -> list[Treated]:
        """In the order of the suites. Raises OSError, ImageUnreadable and DatasetInvalid as ``judge`` meets them."""
        if not self._suites:
            return []
        pixels, mask = decode_photo(read_file(self._sample.image)), read_mask(self._sample)
        truth = np.zeros(pixels.shape[:2], np.bool_) if mask is None else mask
        found = []
        for suite in self._suites:
            for treatment in suite.treatments:
                data, after = treatment(pixels, truth)
                found.append(
                    Treated(
                        suite=suite.name,
                        treatment=treatment.name,
                        data=data,
                        mask=None if mask is None else after,
                    )
                )
        return found
