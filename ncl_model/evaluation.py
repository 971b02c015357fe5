"""Figures of a weights file on a labelled set: ``python -m ncl_model.evaluation --weights W --data index.csv``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncl_model.datasets import Sample, load_mask, read_folder, read_index
from ncl_model.metrics import auc, pixel_f1, threshold_at_fpr
from ncl_model.predictor import Predictor
from ncl_model.scoring import image_score


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures on one set."""

    #: images counted
    tampered: int
    authentic: int
    #: mean over tampered images of the pixel F1 at 0.5
    pixel_f1: float
    #: mean over tampered images of the pixel AUC
    pixel_auc: float
    #: AUC of the image score; NaN without authentic images
    image_auc: float
    #: share of tampered images scored above all but 5 % (20 %) of the authentic ones
    recall_at_fpr5: float
    recall_at_fpr20: float


def predict_map(predictor: Predictor, sample: Sample) -> NDArray[np.float32]:
    """(valid_h, valid_w) probabilities of one sample, float, before any rounding."""
    image = predictor.decode(sample.image.read_bytes())
    canvas = predictor.predict(image.pixels[None])
    return canvas[0, : image.valid_height, : image.valid_width]


def evaluate(predictor: Predictor, samples: Sequence[Sample]) -> Evaluation:
    """Run every sample; masks are brought to the size the network works at (nearest neighbour)."""
    scores, f1s, aucs = [], [], []
    for sample in samples:
        probabilities = predict_map(predictor, sample)
        scores.append(image_score(probabilities, top_fraction=predictor.config.score_top_fraction))
        mask = load_mask(sample, (probabilities.shape[0], probabilities.shape[1]))
        if sample.mask is not None and mask.any() and not mask.all():
            f1s.append(pixel_f1(probabilities, mask))
            aucs.append(auc(probabilities, mask))
    labels = np.array([sample.mask is not None for sample in samples])
    return summarize(np.array(scores), labels, f1s, aucs)


def summarize(
    scores: NDArray[np.floating], labels: NDArray[np.bool_], f1s: Sequence[float], aucs: Sequence[float]
) -> Evaluation:
    """Image scores (N,), labels (N,) True = tampered, and the pixel figures of the tampered images."""
    return Evaluation(
        tampered=int(labels.sum()),
        authentic=int((~labels).sum()),
        pixel_f1=float(np.mean(f1s)) if f1s else float("nan"),
        pixel_auc=float(np.mean(aucs)) if aucs else float("nan"),
        image_auc=auc(scores, labels),
        recall_at_fpr5=recall_at_fpr(scores, labels, 0.05),
        recall_at_fpr20=recall_at_fpr(scores, labels, 0.20),
    )


def recall_at_fpr(scores: NDArray[np.floating], labels: NDArray[np.bool_], fpr: float) -> float:
    """Share of tampered images above the score that at most ``fpr`` of the authentic ones exceed."""
    if labels.all() or not labels.any():
        return float("nan")
    return float((scores[labels] > threshold_at_fpr(scores[~labels], fpr)).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints one line per figure, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m ncl_model.evaluation", description=__doc__)
    parser.add_argument("--weights", type=Path, help="safetensors file (default: the shipped preview)")
    parser.add_argument("--data", type=Path, required=True, help="index.csv with image, mask, group")
    parser.add_argument("--authentic", type=Path, help="folder of more authentic photographs to add")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    samples = read_index(given.data) + (read_folder(given.authentic) if given.authentic else [])
    predictor = Predictor.setup(given.weights, given.precision)
    figures = {"fingerprint": predictor.fingerprint, **asdict(evaluate(predictor, samples))}
    if given.json:
        known = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in figures.items()}
        sys.stdout.write(json.dumps(known) + "\n")  # JSON has no NaN
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:16} {value:.4f}\n" if isinstance(value, float) else f"{name:16} {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
