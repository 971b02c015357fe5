"""What the screening found in the demo corpus, held against what is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.domain import Verdict
from jobs.errors import StorageError
from ncl_model.metrics import auc, pixel_f1
from nclscreen.demo.corpus import DemoCorpus, DemoImage, Group
from nclscreen.evidence_text import counts_in_words, fired_in
from nclscreen.stored_heatmaps import HeatmapMissing, ReadHeatmap

_TAMPERED: tuple[Group, ...] = ("splice", "copy-move")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """How many of some images were flagged, or ended as they should."""

    hits: int
    of: int

    def __str__(self) -> str:
        return f"{self.hits} of {self.of}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoTally:
    """The outcome; `str()` gives it as a short text."""

    #: tampered images that were flagged
    splices: Found
    copy_moves: Found
    #: authentic images that were flagged
    false_alarms: Found
    #: odd files that ended with the expected error code, or with a score
    odd: Found
    #: images of the corpus without exactly one verdict; should be empty
    unaccounted: tuple[str, ...]
    #: image level; NaN without scores of both kinds
    image_auc: float
    #: means over the tampered images that have a heatmap; NaN without any
    pixel_f1: float
    pixel_auc: float
    heatmaps: int
    #: in how many of the tampered images that were flagged each kind of evidence fired; empty where verdicts have none
    fired: Mapping[str, int]

    @property
    def tampered(self) -> Found:
        return Found(hits=self.splices.hits + self.copy_moves.hits, of=self.splices.of + self.copy_moves.of)

    def __str__(self) -> str:
        lines = [
            f"tampered found   {self.tampered} (splices {self.splices}, copy-moves {self.copy_moves})",
            f"false alarms     {self.false_alarms} authentic photographs",
            f"ranking          image AUC {self.image_auc:.2f} (0.5 is guessing, 1 is perfect)",
        ]
        if kinds := counts_in_words(self.fired):
            lines.append(f"evidence         {kinds} of the {self.tampered.hits} tampered found")
        if self.heatmaps:
            figures = f"pixel F1 {self.pixel_f1:.2f}, pixel AUC {self.pixel_auc:.2f}"
            lines.append(f"where            {figures} over the {self.heatmaps} tampered images with a heatmap")
        lines.append(f"odd and broken   {self.odd} ended as they should")
        if self.unaccounted:
            lines.append(f"UNACCOUNTED      {len(self.unaccounted)} files without exactly one verdict")
        lines.append("Edits made by a program on eight photographs: a demonstration, not a measurement of the model.")
        return "\n".join(lines)


def tally(
    corpus: DemoCorpus,
    verdicts: Iterable[Verdict],
    read_heatmap: ReadHeatmap | None = None,
    *,
    threshold: float = 0.0,
) -> DemoTally:
    """Hold the verdicts of one job over `corpus.folder` against the truth.

    Without `read_heatmap` (see `nclscreen.stored_heatmaps.heatmap_reader`) there are no pixel figures.
    `threshold` is the job's, from which a kind of evidence fired.
    """
    by_key: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_key.setdefault(verdict.key, []).append(verdict)
    single = {key: found[0] for key, found in by_key.items() if len(found) == 1}
    pairs = [(image, single[image.key]) for image in corpus.images if image.key in single]
    pixel = _pixel_figures(pairs, read_heatmap)
    return DemoTally(
        splices=_flagged(corpus, pairs, "splice"),
        copy_moves=_flagged(corpus, pairs, "copy-move"),
        false_alarms=_flagged(corpus, pairs, "authentic"),
        odd=Found(
            hits=sum(image.group == "odd" and verdict.error_code == image.code for image, verdict in pairs),
            of=sum(image.group == "odd" for image in corpus.images),
        ),
        unaccounted=tuple(image.key for image in corpus.images if image.key not in single),
        image_auc=_image_auc(pairs),
        pixel_f1=_mean([f1 for f1, _ in pixel]),
        pixel_auc=_mean([area for _, area in pixel]),
        heatmaps=len(pixel),
        fired=_fired(pairs, threshold),
    )


def _flagged(corpus: DemoCorpus, pairs: Sequence[tuple[DemoImage, Verdict]], group: Group) -> Found:
    return Found(
        hits=sum(image.group == group and verdict.flagged for image, verdict in pairs),
        of=sum(image.group == group for image in corpus.images),
    )


def _fired(pairs: Sequence[tuple[DemoImage, Verdict]], threshold: float) -> Counter[str]:
    tampered = [verdict for image, verdict in pairs if image.group in _TAMPERED]
    return Counter(kind for verdict in tampered for kind in fired_in(verdict, threshold))


def _image_auc(pairs: Sequence[tuple[DemoImage, Verdict]]) -> float:
    judged = [(image, verdict.score) for image, verdict in pairs if image.group != "odd" and verdict.score is not None]
    scores = np.array([score for _, score in judged], dtype=np.float64)
    return auc(scores, np.array([image.group in _TAMPERED for image, _ in judged], dtype=np.bool_))


def _pixel_figures(
    pairs: Sequence[tuple[DemoImage, Verdict]], read_heatmap: ReadHeatmap | None
) -> list[tuple[float, float]]:
    """(F1 at 0.5, AUC) of each tampered image whose heatmap can be read."""
    figures = []
    for image, verdict in pairs:
        if image.mask is None or read_heatmap is None:
            continue
        try:
            heatmap = read_heatmap(verdict)
        except (HeatmapMissing, StorageError):
            continue
        figures.append(_against_mask(heatmap, image.mask))
    return figures


def _against_mask(heatmap: NDArray[np.uint8], mask_file: Path) -> tuple[float, float]:
    """Compared at the photograph's own size."""
    with Image.open(mask_file) as stored:
        mask = np.asarray(stored.convert("L")) >= 128
    grown = Image.fromarray(heatmap).resize((mask.shape[1], mask.shape[0]), Image.Resampling.BILINEAR)
    probabilities = np.asarray(grown, dtype=np.float32) / 255
    return pixel_f1(probabilities, mask), auc(probabilities, mask)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
