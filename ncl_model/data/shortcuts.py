"""Does the label hide in how the files were saved?

A set whose tampered files were all saved by one program and its authentic ones by another can be ranked perfectly
without looking at a single pixel, and a high image AUC on it says little [ours].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ncl_model.data.file_bytes import read_file
from ncl_model.data.resaving import JpegSettings, settings_of
from ncl_model.data.sample import Sample
from ncl_model.metrics import auc


def tables_auc(samples: Sequence[Sample]) -> float:
    """Image AUC that the quantisation tables and the chroma subsampling of the files reach alone.

    About 0.5 when they tell nothing, 1 when they tell everything; NaN when a class is missing. Files that cannot be
    read, and other formats than JPEG, count as one more way of saving.
    """
    labels = np.array([sample.tampered for sample in samples], np.bool_)
    return auc(shares([_settings(sample) for sample in samples], labels), labels)


def shares(kinds: Sequence[Hashable], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) the share of tampered files among the *other* files of the same kind; 0.5 where there is none."""
    files = Counter(kinds)
    tampered = Counter(kind for kind, label in zip(kinds, labels, strict=True) if label)
    # one of each label is added, so that a kind seen once or twice says little
    return np.array(
        [(tampered[kind] - int(label) + 1) / (files[kind] + 1) for kind, label in zip(kinds, labels, strict=True)]
    )


def _settings(sample: Sample) -> JpegSettings | None:
    try:
        return settings_of(read_file(sample.image))
    except OSError:
        return None
