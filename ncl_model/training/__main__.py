"""The plain training loop: ``python -m ncl_model.training --config small --data SOURCE --minutes 25 --out DIR``.

Needs torch, numpy, pillow and safetensors alone, on a CPU or one GPU. DIR receives ``state.pt`` (to go on from),
``weights.safetensors`` (to predict with), ``log.jsonl``, ``metrics.csv`` and ``curves.png``. The same command
goes on where the last saved state ended; a run that has used up its budget is left as it is.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncl_model.command_line import DONE, ProgressLines, amount, count_or_none, ended
from ncl_model.training.devices import DEVICES
from ncl_model.training.interruption import heeding_signals
from ncl_model.training.plain import Place, train
from ncl_model.training.recipe import TrainConfig, ready_recipes
from ncl_model.training.recipe_changes import with_changes

_EPILOG = "Ctrl-C or SIGTERM saves and ends (exit code 130 or 143); one more, seconds later, ends at once."


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 interrupted and saved."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    place = Place(device=given.device, loaders=given.workers, part_mb=given.part_mb, leave_out_bad=given.leave_out_bad)
    return ended(lambda: _train(given, place))


def _train(given: argparse.Namespace, place: Place) -> int:
    recipe = with_changes(TrainConfig.load(given.config), given.set)
    recipe = recipe.with_budget(minutes=given.minutes, steps=given.steps)
    with heeding_signals() as stop:
        noted = _Validating()
        train(recipe, given.data, given.out, place, start_from=given.start_from, stop=stop, noted=noted, echo=_print)
    if stop.signal is not None:
        sys.stderr.write(f"saved in {given.out}; the same command goes on from there\n")
        return 128 + stop.signal
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ncl_model.training",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ready = ", ".join(ready_recipes())
    parser.add_argument("--config", default="small", help=f"{ready}, or a YAML or JSON file (default: small)")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="index.csv, folder or PACK; repeatable"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="wall time of training (default: the recipe's)")
    budget.add_argument("--steps", type=int, help="optimizer steps, instead of a time")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a field of the recipe, as in network.width=32; repeatable",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: auto)")
    parser.add_argument(
        "--workers", type=count_or_none, help="processes that prepare batches (default: as the device needs)"
    )
    parser.add_argument(
        "--start-from", type=Path, help="weights.safetensors to begin with, of the same or of a smaller network"
    )
    parser.add_argument("--part-mb", type=amount, help="also write state and weights in parts of so many megabytes")
    parser.add_argument("--leave-out-bad", action="store_true", help="go on without files that cannot be read")
    return parser


class _Validating:
    """A validation's progress on standard error; everything else is in the log's lines."""

    def __init__(self) -> None:
        self._lines = ProgressLines()

    def __call__(self, row: dict[str, Any]) -> None:
        if "to_validate" in row:
            self._lines(row["validated"], row["to_validate"], "validating")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
