"""What reviewers' minutes teach: labels, scribbles or masks, each of as many photographs as the minutes allow.

Every arm goes on from the same weights, on the same base sets and authentic photographs of the archive, for as many
steps; they differ in what is said of its tampered photographs. Minutes a photograph are those measured by Bearman et
al. (ECCV 2016): 20 s for a label, 35 s for scribbles, 240 s for a mask. Scribbles are drawn into the masks at random.
Run: python benchmarks/weak_labels.py --base SOURCE --archive INDEXED --judge INDEXED --weights FILE --out FOLDER
     [--recipe small] [--review-minutes 100] [--steps 400] [--seeds 1] [--set field=value]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ncl_model.data.datasets import read_source
from ncl_model.data.masks import decode_mask
from ncl_model.data.sample import Sample
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.training.plain import train
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.recipe_changes import with_changes

#: seconds of a reviewer for one photograph
SECONDS = {"none": float("inf"), "labels": 20.0, "scribbles": 35.0, "masks": 240.0}
_FIGURES = ("image_auc", "pixel_auc", "pixel_f1")
#: width of a stroke, of the longer side
_STROKE = 0.02


def strokes(region: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A line through three pixels of the region, (H, W) bool, as far as it lies inside."""
    places = np.argwhere(region)
    if not len(places):
        return np.zeros_like(region)
    points = [(int(x), int(y)) for y, x in places[rng.integers(len(places), size=3)]]
    drawn = Image.new("L", region.shape[::-1])
    ImageDraw.Draw(drawn).line(points, fill=255, width=max(3, round(_STROKE * max(region.shape))), joint="curve")
    inside: NDArray[np.bool_] = (np.asarray(drawn) > 0) & region
    return inside


def reviewed(arm: str, samples: Sequence[Sample], folder: Path, rng: np.random.Generator) -> list[Sample]:
    """The samples as reviewers left them."""
    if arm == "masks":
        return list(samples)
    if arm == "labels":
        return [replace(sample, mask=None, unmasked=True, tampered_colour="white") for sample in samples]
    told = []
    for number, sample in enumerate(samples):
        assert sample.mask is not None
        mask = decode_mask(sample.mask.read_bytes(), sample.tampered_colour).tampered
        on, beside = strokes(mask, rng), strokes(~mask, rng)
        paths = [folder / f"{number}.png", folder / f"{number}-known.png"]
        for path, marked in zip(paths, (on, on | beside), strict=True):
            Image.fromarray(marked).convert("L").save(path)
        told.append(replace(sample, mask=paths[0], known=paths[1], tampered_colour="white"))
    return told


def archive_of(arm: str, source: Path, minutes: float, folder: Path, seed: int) -> tuple[Path, int]:
    """An index.csv of what the reviewers said in so many minutes, and all authentic ones; how many they looked at."""
    rng = np.random.default_rng(seed)
    samples = read_source(source)
    tampered = [sample for sample in samples if sample.mask is not None]
    count = min(len(tampered), int(60 * minutes / SECONDS[arm]))
    chosen = [tampered[i] for i in rng.permutation(len(tampered))[:count]]
    folder.mkdir(parents=True, exist_ok=True)
    kept = [*reviewed(arm, chosen, folder, rng), *(sample for sample in samples if not sample.tampered)]
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["image", "mask", "group", "label", "known"])
        for sample in kept:
            paths = ["" if path is None else path.resolve() for path in (sample.image, sample.mask, sample.known)]
            writer.writerow([paths[0], paths[1], sample.group, int(sample.tampered), paths[2]])
    return folder, count


def figures(weights: Path, judge: Path) -> dict[str, float]:
    run = EvaluationRun(Predictor.setup(weights))
    run.run(read_sets([judge]))
    evaluation = run.results[0].evaluation
    assert evaluation is not None
    return {name: float(getattr(evaluation, name)) for name in _FIGURES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, action="append", required=True)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--review-minutes", type=float, default=100.0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="changes")
    given = parser.parse_args()
    recipe = replace(TrainConfig.load(given.recipe), network=load_checkpoint(given.weights).config)
    recipe = with_changes(recipe, [f"steps={given.steps}", "val_fraction=0.02", *given.changes])
    print(json.dumps({"arm": "before", **figures(given.weights, given.judge)}), flush=True)
    for seed in range(given.seeds):
        for arm in SECONDS:
            folder = given.out / f"{arm}-{seed}"
            archive, count = archive_of(arm, given.archive, given.review_minutes, folder / "archive", seed)
            weak = 0.2 if arm == "labels" else 0.0
            ours = replace(recipe, seed=recipe.seed + 1 + seed, split_seed=recipe.split, weak=weak)
            train(ours, [*given.base, archive], folder / "run", start_from=given.weights)
            found = figures(folder / "run" / "weights.safetensors", given.judge)
            print(json.dumps({"arm": arm, "seed": seed, "photographs": count, **found}), flush=True)


if __name__ == "__main__":
    main()
