"""From a training run's weights to a file to ship: ``python -m ncl_model.release --run W --data ROOT --out FILE``.

Chooses logit shift, score rule and thresholds on the run's own validation images, and writes them down.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ncl_model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ncl_model.datasets import Sample, load_mask, validation_samples
from ncl_model.evaluation import predict_map, summarize
from ncl_model.metrics import auc, pixel_f1
from ncl_model.predictor import Predictor
from ncl_model.selection import Judged, choose_fraction, choose_shift, scores_of, shifted, suggest_thresholds

#: the parameter that the logit shift is added to
_LAST_BIAS = "decoder.stride1.head.bias"


def judge(predictor: Predictor, samples: Sequence[Sample]) -> list[Judged]:
    """Maps and masks of samples, at the network's working size."""
    judged = []
    for sample in samples:
        probabilities = predict_map(predictor, sample)
        size = (probabilities.shape[0], probabilities.shape[1])
        mask = load_mask(sample, size) if sample.mask is not None else None
        judged.append(Judged(probabilities=probabilities, mask=mask))
    return judged


def release(run: Checkpoint, people: Sequence[Judged], others: Sequence[Judged], version: str) -> Checkpoint:
    """The checkpoint to ship.

    ``people``: validation images of the labelled set, which decide shift and score rule; ``others``: more
    authentic ones, of other cameras, which join them for the thresholds.
    """
    shift, shift_figures = choose_shift(people)
    people = [dataclasses.replace(j, probabilities=shifted(j.probabilities, shift)) for j in people]
    others = [dataclasses.replace(j, probabilities=shifted(j.probabilities, shift)) for j in others]
    fraction, fraction_figures = choose_fraction(people)
    authentic = [j for j in people if j.mask is None] + list(others)
    metrics = {
        "validation": _figures(people, fraction),
        "suggested_threshold": suggest_thresholds(scores_of(authentic, fraction)),
        "suggested_threshold_from": f"{len(authentic)} authentic validation images",
    }
    chosen = {
        "logit_shift": shift,
        "logit_shift_pixel_f1": {str(k): round(v, 4) for k, v in shift_figures.items()},
        "score_top_fraction": fraction,
        "score_top_fraction_image_auc": {str(k): round(v, 4) for k, v in fraction_figures.items()},
    }
    weights = {**run.weights, _LAST_BIAS: run.weights[_LAST_BIAS] + shift}
    return dataclasses.replace(
        run,
        config=dataclasses.replace(run.config, score_top_fraction=fraction),
        weights=weights,
        version=version,
        metrics=metrics,
        provenance={**run.provenance, "chosen_on_validation": chosen},
    )


def _figures(judged: Sequence[Judged], fraction: float) -> dict[str, Any]:
    tampered = [(j.probabilities, j.mask) for j in judged if j.mask is not None]
    f1s = [pixel_f1(p, m) for p, m in tampered]
    aucs = [auc(p, m) for p, m in tampered]
    labels = np.array([j.mask is not None for j in judged])
    return dataclasses.asdict(summarize(scores_of(judged, fraction), labels, f1s, aucs))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints what was chosen and the validation figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m ncl_model.release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="weights.safetensors of a training run")
    parser.add_argument("--data", type=Path, required=True, help="the data folder the run was trained from")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--version", default="1", help="version to write into the file")
    given = parser.parse_args(arguments)
    run = load_checkpoint(given.run)
    recipe = run.provenance["recipe"]
    people, others = validation_samples(given.data, held_out=recipe["held_out"], seed=recipe["seed"])
    predictor = Predictor(run.build(given.run), run, "float32")
    shipped = release(run, judge(predictor, people), judge(predictor, others), given.version)
    save_checkpoint(given.out, shipped)
    report = {**shipped.metrics, **shipped.provenance["chosen_on_validation"]}
    sys.stdout.write(json.dumps({**report, "fingerprint": shipped.fingerprint("float32")}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
