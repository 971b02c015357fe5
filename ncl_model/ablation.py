"""What each part is worth: ``python -m ncl_model.ablation --data SOURCE --out DIR [--compare inputs]``.

Runs with the same budget and the same seeds that differ in one part. ``loss``, the four arms of NCL.md: (i) pixel
BCE on the last stage, (ii) the pivot-consistent loss on all stages, (iii) with the contrast of tampered and authentic
patches, (iv) with the contour patches through the pivot: full NCL. ``inputs``: the paper's whole photographs
stretched to a square, native-size crops, and with them the high-pass maps and the compression stream. A seed
decides first weights, batches and which groups are held out, so arms are compared seed by seed. With --laundered the
figures are those of held-out photographs after the training pipeline's laundering (crops, resizes, filters, saves),
with a fixed seed. DIR gets one folder per run, ``ablation.csv`` and ``ablation.md``; the same command goes on where it
was interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ncl_model.command_line import DONE, count, ended
from ncl_model.errors import TrainingFailed
from ncl_model.evaluation.figures import summarize
from ncl_model.evaluation.laundered import LAUNDERED_SUITE
from ncl_model.evaluation.records import ImageRecord, judge_bytes
from ncl_model.evaluation.tables import csv_text, markdown_table
from ncl_model.evaluation.treatments import Versions
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.training.interruption import heeding_signals
from ncl_model.training.loop import never
from ncl_model.training.plain import Place, load_material, train
from ncl_model.training.recipe import TrainConfig, ready_recipes
from ncl_model.training.run_names import WEIGHTS
from ncl_model.training.run_recorder import told
from ncl_model.writing import replacing, writing

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
#: figures after laundering, in the folder of their run
_LAUNDERED = "laundered.json"

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
    laundered: bool = False,
    stop: Callable[[], bool] = never,
    echo: Callable[[str], None] = print,
) -> Results:
    """Train every arm with the seeds 1 to ``seeds``; figures by arm, in the order of the seeds.

    ``laundered``: of the held-out photographs after laundering, instead of as they are. Runs that are finished already
    are only read. Ends early, with what there is, when ``stop`` says so. Raises the errors of ``training.train``.
    """
    results: dict[str, list[Mapping[str, float]]] = {arm: [] for arm in arms}
    # seed by seed: broken off early, every arm has as many runs as the others
    for seed in range(1, seeds + 1):
        for number, (arm, changes) in enumerate(arms.items(), start=1):
            folder = out / f"arm{number}-seed{seed}"
            place = Place(device="auto", tensorboard=False)
            if not train(arm_recipe(recipe, changes, seed), sources, folder, place, stop=stop):
                return results
            figures = load_checkpoint(folder / WEIGHTS).metrics.get("validation")
            if figures is None:
                raise TrainingFailed(f"{folder}: has no figures of a validation; its log.jsonl says why")
            if laundered:
                after = _after_laundering(arm_recipe(recipe, changes, seed), sources, folder, stop=stop, echo=echo)
                if after is None:
                    return results
                figures = after
            results[arm].append(figures)
            echo(f"{arm}, seed {seed}: " + ", ".join(f"{f} {figures[f]:.3f}" for f in FIGURES))
    return results


def _after_laundering(
    recipe: TrainConfig, sources: Sequence[Path], folder: Path, *, stop: Callable[[], bool], echo: Callable[[str], None]
) -> Mapping[str, float] | None:
    """Figures of a finished run on what it held out, every photograph after a history of its own; None: stopped."""
    kept = folder / _LAUNDERED
    if not kept.is_file():
        held_out = load_material(recipe, sources, folder, leave_out_bad=False).validation
        predictor = Predictor.setup(folder / WEIGHTS)
        tell = told(
            lambda event: echo(f"{folder.name}: {event['validated']} of {event['to_validate']} after laundering")
        )
        records: list[ImageRecord] = []
        for done, sample in enumerate(held_out):
            if stop():
                return None
            tell(done, len(held_out))
            records += [
                judge_bytes(predictor, sample, sample.image.name, version.data, version.mask)
                for version in Versions(sample, [LAUNDERED_SUITE]).all
            ]
        figures = dataclasses.asdict(summarize(records, rounds=0))
        with writing(folder), replacing(kept) as partial:
            partial.write_text(json.dumps({figure: figures[figure] for figure in FIGURES}), encoding="utf-8")
    read: Mapping[str, float] = json.loads(kept.read_text(encoding="utf-8"))
    return read


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
            recipe,
            COMPARISONS[given.compare],
            given.data,
            given.out,
            seeds=given.seeds,
            laundered=given.laundered,
            stop=stop,
            echo=_print,
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
    parser.add_argument("--laundered", action="store_true", help="figures of held-out photographs after laundering")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="wall time of one run")
    budget.add_argument("--steps", type=int, help="optimizer steps of one run (default: the recipe's)")
    return parser


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
