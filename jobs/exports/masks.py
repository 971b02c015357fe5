"""Heatmaps, or what reviewers drew, as masks at the photograph's own size, read some ahead of whoever writes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.domain import Verdict
from jobs.verdicts import FoundVerdict

#: gives the heatmap of a verdict, (h, w) uint8 with 255 = probability 1; None where there is none any more
ReadHeatmap = Callable[[Verdict], NDArray[np.uint8] | None]

#: gives what a reviewer drew, (h, w) uint8 with 255 = tampered, 0 = not; None where the model's word stands
ReadDrawn = Callable[[FoundVerdict], NDArray[np.uint8] | None]

#: storages are asked for so many heatmaps at once; they are small, and enlarged one at a time
_READ_AT_ONCE, _AHEAD = 4, 16


class MaskOf(StrEnum):
    """Who says where an image was tampered with."""

    REVIEWER = "reviewer"
    MODEL = "model"


#: values of pixels, and whose they are
_Seen = tuple[NDArray[np.uint8] | None, MaskOf]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Masked:
    """A scored verdict and where its image looks tampered."""

    found: FoundVerdict
    #: (height, width) bool of the upright photograph; None where no heatmap is there, and nobody drew a mask
    mask: NDArray[np.bool_] | None
    #: None without a mask
    mask_of: MaskOf | None


def nobody_drew(found: FoundVerdict) -> None:
    """Of no image."""


def masked_verdicts(
    found: Iterable[FoundVerdict], read: ReadHeatmap, cutoff: float, drawn: ReadDrawn = nobody_drew
) -> Iterator[Masked]:
    """The verdicts that have a score, in their order; a pixel is in the mask whose probability is `cutoff` or more.

    What a reviewer drew stands instead of the heatmap, which is not read then. What `read` and `drawn` raise ends it.
    """

    def look(each: FoundVerdict) -> _Seen:
        mask = drawn(each)
        return (read(each.verdict), MaskOf.MODEL) if mask is None else (mask, MaskOf.REVIEWER)

    scored = (each for each in found if each.verdict.score is not None)
    pool = ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="heatmaps")
    try:
        ahead: deque[tuple[FoundVerdict, Future[_Seen]]] = deque()
        while True:
            wanted = islice(scored, _AHEAD - len(ahead))
            ahead.extend((each, pool.submit(look, each)) for each in wanted)
            if not ahead:
                return
            first, seen = ahead.popleft()
            values, whose = seen.result()
            mask = _mask(first.verdict, values, cutoff if whose is MaskOf.MODEL else 0.5)
            yield Masked(found=first, mask=mask, mask_of=None if mask is None else whose)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def binary_mask(heatmap: NDArray[np.uint8], size: tuple[int, int], cutoff: float) -> NDArray[np.bool_]:
    """A heatmap, (h, w) uint8, enlarged to (width, height) between its pixels, from the probability `cutoff` on."""
    grey = Image.fromarray(heatmap)
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    inside: NDArray[np.bool_] = np.asarray(grey) >= np.ceil(cutoff * 255)
    return inside


def _mask(verdict: Verdict, heatmap: NDArray[np.uint8] | None, cutoff: float) -> NDArray[np.bool_] | None:
    if heatmap is None or verdict.width is None or verdict.height is None:
        return None
    return binary_mask(heatmap, (verdict.width, verdict.height), cutoff)
