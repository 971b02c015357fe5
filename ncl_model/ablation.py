"""What each part is worth: ``python -m ncl_model.ablation --data SOURCE --out DIR [--compare inputs]``.

Runs with the same budget and the same seeds that differ in one part. ``loss``, the four arms of NCL.md: (i) pixel
BCE on the last stage, (ii) the pivot-consistent loss on all stages, (iii) with the contrast of tampered and authentic
patches, (iv) with the contour patches through the pivot: full NCL. ``inputs``: the paper's whole photographs
stretched to a square, native-size crops, and with them the high-pass maps and the compression stream. A seed
decides first weights, batches and which groups are held out, so arms are compared seed by seed. DIR gets one
folder per run, ``ablation.csv`` and ``ablation.md``; the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ncl_model.command_line import DONE, count, ended
from ncl_model.errors import TrainingFailed
from ncl_model.evaluation.tables import csv_text, markdown_table
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.training.interruption import heeding_signals
from ncl_model.training.loop import never
from ncl_model.training.plain import Place, train
from ncl_model.training.recipe import TrainConfig, ready_recipes
from ncl_model.writing import writing

#: by comparison and arm: what the arm changes in the recipe; "loss" and "network" hold changes of their own
COMPARISONS: dict[str, dict[str, dict[str, Any]]] = {
    "loss": {
        "(i) BCE": {"loss": {"stages": "last", "mu": 0.0, "contrast": "none"}},
        "(ii) + multi-stage L_PC": {"loss": {"contrast": "none"}},
        "(iii) + contrast without contour": {"loss": {"contrast": "classes"}},
        "(iv) full NCL": {"loss": {"contrast": "pivot"}},
    },
    "inputs": {
        "RGB, stretched (paper)": {
            "network": {"residual": "none", "geometry": "stretch", "input_size": 256},
            "framing": "resize",
            "crop_size": 256,
        },
        "RGB, native crops": {"network": {"residual": "none"}},
        "+ high-pass maps": {"network": {"residual": "srm"}},
        "+ compression stream": {"network": {"residual": "srm", "compression": "dct"}},
    },
}
#: figures of the held-out photographs that are compared
FIGURES = ("pixel_auc", "pixel_f1", "image_auc")

Results = Mapping[str, Sequence[Mapping[str, float]]]


def arm_recipe(recipe: TrainConfig, changes: Mapping[str, Any], seed: int) -> TrainConfig:
    """The recipe of one run."""
    loss = dataclasses.replace(recipe.loss, **changes.get("loss", {}))
    network = dataclasses.replace(recipe.network, **changes.get("network", {}))
    others = {name: value for name, value in changes.items() if name not in {"loss", "network"}}
    return dataclasses.replace(recipe, loss=loss, network=network, seed=seed, **others)


def run_arms(
    recipe: TrainConfig,
    arms: Mapping[str, Mapping[str, Any]],
    sources: Sequence[Path],
    out: Path,
    *,
    seeds: int,
    stop: Callable[[], bool] = never,
    echo: Callable[[str], None] = print,
) -> Results:
    """Train every arm with the seeds 1 to ``seeds``; figures by arm, in the order of the seeds.

    Runs that are finished already are only read. Ends early, with what there is, when ``stop`` says so. Raises the
    errors of ``training.train``.
    """
    results: dict[str, list[Mapping[str, float]]] = {arm: [] for arm in arms}
    # seed by seed: broken off early, every arm has as many runs as the others
    for seed in range(1, seeds + 1):
        for number, (arm, changes) in enumerate(arms.items(), start=1):
            folder = out / f"arm{number}-seed{seed}"
            place = Place(device="auto", tensorboard=False)
            if not train(arm_recipe(recipe, changes, seed), sources, folder, place, stop=stop):
                return results
            figures = load_checkpoint(folder / "weights.safetensors").metrics.get("validation")
            if figures is None:
                raise TrainingFailed(f"{folder}: has no figures of a validation; its log.jsonl says why")
            results[arm].append(figures)
            echo(f"{arm}, seed {seed}: " + ", ".join(f"{f} {figures[f]:.3f}" for f in FIGURES))
    return results


def table(results: Results) -> str:
    """Markdown: mean and standard deviation over the seeds, and the gain in pixel AUC over the arm before, paired."""
    rows: list[list[str]] = []
    before: Sequence[Mapping[str, float]] | None = None
    for arm, runs in results.items():
        gains = [] if before is None else [r["pixel_auc"] - b["pixel_auc"] for r, b in zip(runs, before, strict=False)]
        rows.append(
            [arm, str(len(runs)), *(_spread([r[f] for r in runs]) for f in FIGURES), _spread(gains, signed=True)]
        )
        before = runs
    return markdown_table(["arm", "seeds", *(f.replace("_", " ") for f in FIGURES), "gain in pixel AUC"], rows)


def _spread(values: Sequence[float], *, signed: bool = False) -> str:
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):+.3f}" if signed else f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 interrupted and saved."""
    given = _parser().parse_args(arguments)
    return ended(lambda: _compare(given))


def _compare(given: argparse.Namespace) -> int:
    recipe = TrainConfig.load(given.config).with_budget(minutes=given.minutes, steps=given.steps)
    with heeding_signals() as stop:
        results = run_arms(
            recipe, COMPARISONS[given.compare], given.data, given.out, seeds=given.seeds, stop=stop, echo=_print
        )
    rows = [{"arm": arm, "seed": n, **run} for arm, runs in results.items() for n, run in enumerate(runs, start=1)]
    with writing(given.out):
        (given.out / "ablation.csv").write_text(csv_text(rows, ["arm", "seed", *FIGURES]), encoding="utf-8")
        (given.out / "ablation.md").write_text(table(results), encoding="utf-8")
    _print(table(results))
    return DONE if stop.signal is None else 128 + stop.signal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ncl_model.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compare", choices=tuple(COMPARISONS), default="loss", help="what differs (default: loss)")
    ready = ", ".join(ready_recipes())
    parser.add_argument("--config", default="ablation", help=f"{ready}, or a file (default: ablation)")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="index.csv, folder or PACK; repeatable"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=count, default=3, help="runs per arm (default: 3)")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="wall time of one run")
    budget.add_argument("--steps", type=int, help="optimizer steps of one run (default: the recipe's)")
    return parser


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
