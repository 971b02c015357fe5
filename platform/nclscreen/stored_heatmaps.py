"""Reading a verdict's heatmap back from where the job kept it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Verdict
from jobs.errors import JobsError
from jobs.screening.heatmaps import decode_heatmap
from jobs.storage import OpenStorage, split_object_uri

#: gives the heatmap of a verdict, (h, w) uint8 with 255 = probability 1; raises HeatmapMissing or StorageError
ReadHeatmap = Callable[[Verdict], NDArray[np.uint8]]
#: a heatmap has at most a byte per pixel of the model's input; more than this is something else
_MAX_BYTES = 64 * 1024 * 1024


class HeatmapMissing(JobsError):
    """There is no usable heatmap for this image."""


def heatmap_reader(open_storage: OpenStorage) -> ReadHeatmap:
    """A reader of the heatmaps that `map_uri` names."""

    def read(verdict: Verdict) -> NDArray[np.uint8]:
        if verdict.map_uri is None:
            raise HeatmapMissing("none was kept for this image")
        container, key = split_object_uri(verdict.map_uri)
        data = open_storage(container).read(key, max_bytes=_MAX_BYTES)
        try:
            return decode_heatmap(data)
        except (OSError, ValueError, SyntaxError) as error:
            raise HeatmapMissing(f"the stored file is damaged ({error})") from error

    return read
