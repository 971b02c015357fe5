"""What a training run told of itself, short enough to be kept in a row: its folder is on one machine alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nclscreen import __version__

#: points of each curve
MOST_POINTS = 200


def training_told(folder: Path) -> dict[str, Any] | None:
    """`recipe`, `code_version` and `curves` of a run; None where there is none.

    `curves`: rows of its metrics.csv, each with a step, evenly thinned to `MOST_POINTS`; those of validation and the
    last one stay. What is not finite is left out: databases take no NaN.
    """
    from ncl_model.training.run_log import read_metrics
    from ncl_model.training.run_names import LOG, METRICS

    rows = [{k: v for k, v in row.items() if math.isfinite(v)} for row in read_metrics(folder / METRICS)]
    recipe = _recipe(folder / LOG)
    if recipe is None and not rows:
        return None
    return {"recipe": recipe or {}, "code_version": __version__, "curves": thinned(rows, MOST_POINTS)}


def thinned(rows: Sequence[dict[str, float]], most: int) -> list[dict[str, float]]:
    """At most so many rows of training, the last one among them, and as many of validation; in their order."""
    judged = [row for row in rows if "loss" not in row]
    trained = [row for row in rows if "loss" in row]
    kept = [*_evenly(trained, most), *_evenly(judged, most)]
    return sorted(kept, key=lambda row: row["step"])


def _evenly(rows: Sequence[dict[str, float]], most: int) -> list[dict[str, float]]:
    stride = max(1, -(-len(rows) // most))
    return list(rows[::-1][::stride][::-1])


def _recipe(log: Path) -> dict[str, Any] | None:
    """By the last of its starts."""
    if not log.is_file():
        return None
    found = None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if '"event": "start"' in line:
            try:
                found = json.loads(line).get("recipe") or found
            except ValueError:
                continue  # half-written
    return found if isinstance(found, dict) else None
