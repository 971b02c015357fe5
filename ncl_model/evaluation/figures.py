"""Figures of a model on labelled sets.

Pixel figures over tampered images at the native size of their masks, image-level figures over all (NCL.md, "Metrics").
Photographs stream through: only their records are kept, never their maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncl_model.data.checking import no_progress
from ncl_model.data.sample import Sample
from ncl_model.evaluation.records import Distort, ImageRecord, judge
from ncl_model.inference.predictor import Predictor
from ncl_model.intervals import ROUNDS, Figure, Interval, group_bootstrap
from ncl_model.metrics import auc, recall_at_fpr

#: the figures of a set, in the order they are shown, and their heads in tables
FIGURES = {
    "pixel_f1": "pixel F1",
    "pixel_iou": "pixel IoU",
    "pixel_auc": "pixel AUC",
    "image_auc": "image AUC",
    "recall_at_fpr1": "recall at 1 %",
    "recall_at_fpr5": "recall at 5 %",
}


#: figures of flagging at a threshold, and their heads
FLAGGING_FIGURES = {"recall": "recall", "false_alarm_rate": "false alarms"}


@dataclass(frozen=True, kw_only=True)
class Flagging:
    """What comes of flagging every image whose score reaches a threshold; NaN without images to count."""

    threshold: float
    #: authentic images that are flagged, as a number and as a share
    false_alarms: int
    false_alarm_rate: float
    #: share of the tampered images that is flagged
    recall: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures on one set; NaN where the set has nothing to measure one on."""

    #: images judged
    tampered: int
    authentic: int
    #: tampered images that have tampered pixels: the ones the pixel figures are means over
    with_pixels: int
    #: images that could not be read; they count nowhere
    unreadable: int
    #: means over tampered images of F1 and IoU at 0.5, and of the AUC
    pixel_f1: float
    pixel_iou: float
    pixel_auc: float
    #: AUC of the image score
    image_auc: float
    #: share of tampered images found while at most 1 % (5 %) of the authentic ones of this set are flagged
    recall_at_fpr1: float
    recall_at_fpr5: float
    #: None when no threshold was given
    flagging: Flagging | None = None
    #: 95 % bootstrap intervals over groups, by figure, those of ``flagging`` too; empty when not asked for
    intervals: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """Samples that are reported together."""

    #: as it is shown, for example "casia1/test"
    name: str
    samples: Sequence[Sample]
    #: folder that the images' names are relative to, absolute
    root: Path

    def name_of(self, sample: Sample) -> str:
        """The image's path below the root with "/" between parts; its whole path when it lies elsewhere."""
        try:
            return sample.image.absolute().relative_to(self.root).as_posix()
        except ValueError:
            return sample.image.as_posix()

    def limited(self, limit: int | None) -> LabelledSet:
        """At most ``limit`` samples, spread evenly over the list, so that both classes stay in."""
        if limit is None or len(self.samples) <= limit:
            return self
        picked = [self.samples[i * len(self.samples) // limit] for i in range(limit)]
        return LabelledSet(name=self.name, samples=picked, root=self.root)


def evaluate(
    predictor: Predictor, samples: Sequence[Sample], progress: Callable[[int, int], None] = no_progress
) -> Evaluation:
    """Figures over samples, without intervals; unreadable ones are counted and left out.

    ``progress`` is told (done, of how many) after each.
    """
    records = []
    for sample in samples:
        records.append(judge(predictor, sample, sample.image.name))
        progress(len(records), len(samples))
    return summarize(records, rounds=0)


def judged(predictor: Predictor, labelled: LabelledSet, distort: Distort | None = None) -> Iterator[ImageRecord]:
    """The records of a set, one by one, in the order of its samples."""
    for sample in labelled.samples:
        yield judge(predictor, sample, labelled.name_of(sample), distort)


def summarize(
    records: Sequence[ImageRecord], *, threshold: float | None = None, rounds: int = ROUNDS, seed: int = 0
) -> Evaluation:
    """The figures of records; ``rounds`` resamples for the intervals, 0 for none.

    ``threshold``: images with a score from there on count as flagged. Any order of the records gives the same
    figures and intervals.
    """
    read = sorted((r for r in records if r.problem is None), key=lambda r: (r.group, r.name))
    columns = Columns(read, threshold)
    everything = np.arange(len(read), dtype=np.intp)
    figures = columns.figures(FIGURES)
    more = columns.figures(FLAGGING_FIGURES) if threshold is not None else {}
    return Evaluation(
        tampered=int(columns.labels.sum()),
        authentic=int((~columns.labels).sum()),
        with_pixels=int(np.count_nonzero(~np.isnan(columns.f1))),
        unreadable=len(records) - len(read),
        **{name: figure(everything) for name, figure in figures.items()},
        flagging=None if threshold is None else columns.flagging(threshold),
        intervals=group_bootstrap([r.group for r in read], figures | more, rounds=rounds, seed=seed) if rounds else {},
    )


class Columns:
    """Records as arrays; each figure is a method of positions, so that a bootstrap can draw them."""

    def __init__(self, records: Sequence[ImageRecord], threshold: float | None = None) -> None:
        """``threshold``: needed by the figures of flagging alone."""
        self.labels = np.array([r.label for r in records], dtype=np.bool_)
        self.scores = np.array([r.score for r in records], dtype=np.float64)
        self.f1 = np.array([r.f1 for r in records], dtype=np.float64)
        self.iou = np.array([r.iou for r in records], dtype=np.float64)
        self.auc = np.array([r.auc for r in records], dtype=np.float64)
        self.flagged = self.scores >= (math.inf if threshold is None else threshold)

    def figures(self, names: Iterable[str]) -> dict[str, Figure]:
        """The figures of these names, as functions of positions."""
        return {name: getattr(self, name) for name in names}

    def flagging(self, threshold: float) -> Flagging:
        """All images counted; ``threshold`` as it was given."""
        everything = np.arange(len(self.scores), dtype=np.intp)
        return Flagging(
            threshold=threshold,
            false_alarms=int(np.count_nonzero(self.flagged & ~self.labels)),
            false_alarm_rate=self.false_alarm_rate(everything),
            recall=self.recall(everything),
        )

    def pixel_f1(self, positions: NDArray[np.intp]) -> float:
        return _mean(self.f1[positions])

    def pixel_iou(self, positions: NDArray[np.intp]) -> float:
        return _mean(self.iou[positions])

    def pixel_auc(self, positions: NDArray[np.intp]) -> float:
        return _mean(self.auc[positions])

    def image_auc(self, positions: NDArray[np.intp]) -> float:
        return auc(self.scores[positions], self.labels[positions])

    def recall_at_fpr1(self, positions: NDArray[np.intp]) -> float:
        return recall_at_fpr(self.scores[positions], self.labels[positions], 0.01)

    def recall_at_fpr5(self, positions: NDArray[np.intp]) -> float:
        return recall_at_fpr(self.scores[positions], self.labels[positions], 0.05)

    def recall(self, positions: NDArray[np.intp]) -> float:
        return _share(self.flagged[positions], self.labels[positions])

    def false_alarm_rate(self, positions: NDArray[np.intp]) -> float:
        return _share(self.flagged[positions], ~self.labels[positions])


def _share(flagged: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    """Share of ``among`` that is flagged; NaN without any."""
    return float(np.count_nonzero(flagged & among) / np.count_nonzero(among)) if among.any() else math.nan


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of the values that are defined; NaN without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
