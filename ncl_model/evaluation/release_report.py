"""What a release tells: the rules compared, what was chosen, and what speaks against shipping it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ncl_model.errors import CalibrationTooCoarse
from ncl_model.evaluation.selection import RULE_FIGURES
from ncl_model.evaluation.tables import text_table, with_interval
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import Checkpoint
from ncl_model.shown_text import plain_lines

#: false-positive rates whose thresholds are printed
_SHOWN_RATES = (0.01, 0.05, 0.20)


def rules_table(chosen: Mapping[str, Any]) -> str:
    """The comparison of score rules as a text table; ``chosen`` is ``provenance["chosen_on_validation"]``."""
    rows = [[each["rule"], *(_cell(each, name) for name in RULE_FIGURES)] for each in chosen["score_rules"]]
    return text_table(["score rule", *RULE_FIGURES.values()], rows)


def _cell(figures: Mapping[str, Any], name: str) -> str:
    value, ends = figures[name], figures["intervals"].get(name)
    known = ends is not None and None not in ends
    return with_interval(math.nan if value is None else value, tuple(ends) if known else None)


def release_document(shipped: Checkpoint) -> dict[str, Any]:
    """What a release prints: figures, what was chosen, and thresholds for some rates, as JSON types."""
    calibration = Calibration.from_dict(shipped.calibration)
    policies: dict[str, str] = {}
    for rate in _SHOWN_RATES:
        try:
            policies[f"{rate:g}"] = str(calibration.policy(rate))
        except CalibrationTooCoarse as error:
            policies[f"{rate:g}"] = str(error)
    chosen = shipped.provenance["chosen_on_validation"]
    sources = {"calibration_sources": dict(calibration.sources), "max_fpr": policies}
    return {**shipped.metrics, **chosen, **sources, "fingerprint": shipped.fingerprint("float32")}


def warning(doubts: Sequence[str], out: Path, *, accepted: bool) -> str:
    """A paragraph that nobody overlooks; red on a terminal."""
    end = (
        f"written all the same, as asked; {out} says so"
        if accepted
        else f"REFUSED: nothing was written to {out}; --accept-worse writes it all the same"
    )
    text = "\n".join(["THESE WEIGHTS SHOULD NOT BE SHIPPED", *(f"  - {doubt}" for doubt in doubts), plain_lines(end)])
    return f"\n\x1b[1;31m{text}\x1b[0m\n" if sys.stderr.isatty() else f"\n{text}\n"
