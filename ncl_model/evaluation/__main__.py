"""Figures of a weights file on labelled sets: ``python -m ncl_model.evaluation --data SOURCE --out DIR``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ncl_model.command_line import INTERRUPTED, ProgressLines, count, ended
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.evaluation.laundered import asked_suites
from ncl_model.evaluation.run_tables import run_document, run_text
from ncl_model.inference.predictor import Predictor


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 0, 1 when images could not be judged, 2 for wrong usage, 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    return ended(lambda: _evaluate(given))


def _evaluate(given: argparse.Namespace) -> int:
    sets = read_sets(given.data, given.limit)
    predictor = Predictor.setup(given.weights, given.precision, device=given.device)
    suites = asked_suites(benign=given.benign, laundered=given.laundered)
    against = None if given.against is None else Predictor.setup(given.against, given.precision, device=given.device)
    run = EvaluationRun(
        predictor, given.out, robustness=given.robustness, resave=given.resave, suites=suites, against=against
    )
    interrupted = False
    try:
        run.run(sets, ProgressLines())
    except KeyboardInterrupt:
        interrupted = True
    results = run.results
    if given.json:
        sys.stdout.write(json.dumps(run_document(run), indent=2) + "\n")
    else:
        sys.stdout.write(run_text(run))
    if interrupted:
        return INTERRUPTED
    return int(any(result.problems for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ncl_model.evaluation", description=__doc__)
    parser.add_argument("--weights", type=Path, help="safetensors file (default: the shipped weights)")
    parser.add_argument("--data", type=Path, required=True, action="append", help="a source; may be repeated")
    parser.add_argument("--out", type=Path, help="folder for tables, records and figure sheets")
    parser.add_argument("--robustness", action="store_true", help="also under distortions: nine times as long")
    parser.add_argument(
        "--benign", action="store_true", help="also after eight operations that tamper with nothing: ten times as long"
    )
    parser.add_argument(
        "--laundered", action="store_true", help="also after the histories that training photographs get, one for each"
    )
    parser.add_argument(
        "--against", type=Path, metavar="WEIGHTS", help="compare with these weights on the same photographs"
    )
    parser.add_argument("--resave", action="store_true", help="also with authentic photographs saved as tampered ones")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument("--limit", type=count, metavar="N", help="at most so many images of each set, spread evenly")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
