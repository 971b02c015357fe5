"""Comparisons of two models as text, CSV, Markdown and JSON. No files are written here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ncl_model.evaluation.comparison import Difference
from ncl_model.evaluation.figures import FIGURES, FLAGGING_FIGURES
from ncl_model.evaluation.reporting import model_document
from ncl_model.evaluation.tables import csv_text, markdown_table, markdown_text, number, text_table
from ncl_model.inference.predictor import Predictor
from ncl_model.shown_text import one_line

_HEADS = FIGURES | FLAGGING_FIGURES
_MEANING = (
    "Difference: the first minus the second, each at its own default threshold where a threshold counts. In brackets: "
    "95 % interval by a paired bootstrap over groups, the same draws for both. *: the interval leaves zero out."
)

#: differences by name of the set
Differences = Mapping[str, Sequence[Difference]]


def short_name(predictor: Predictor) -> str:
    """A model in a head of a table; two versions of one name are told apart by the fingerprint."""
    return f"{predictor.name} {predictor.version} ({predictor.fingerprint[:8]})"


def comparison_text(models: tuple[Predictor, Predictor], found: Differences) -> str:
    """For a terminal: a table per set."""
    tables = [
        f"{one_line(name)}, compared\n{text_table(_head(models), _rows(differences))}"
        for name, differences in found.items()
    ]
    return "\n".join(tables) + f"{_MEANING}\n"


def comparison_markdown(models: tuple[Predictor, Predictor], found: Differences) -> str:
    """A table per set, under what was compared."""
    first, second = map(short_name, models)
    text = f"# {markdown_text(first)} against {markdown_text(second)}\n\n{markdown_text(_MEANING)}\n"
    for name, differences in found.items():
        text += f"\n## {markdown_text(name)}\n\n{markdown_table(_head(models), _rows(differences))}"
    return text


def comparison_csv(found: Differences) -> str:
    """One line per set, state and figure."""
    rows = [{"set": name, **_plain(each)} for name, differences in found.items() for each in differences]
    return csv_text(rows, ["set", "state", "figure", "images", "ours", "theirs", "difference", "low", "high"])


def comparison_document(against: Predictor, found: Differences) -> dict[str, Any]:
    """Plain JSON types; undefined figures are null."""
    sets = [
        {"name": name, "differences": [_known(_plain(each)) for each in each_set]} for name, each_set in found.items()
    ]
    return {"model": model_document(against), "sets": sets}


def _head(models: tuple[Predictor, Predictor]) -> list[str]:
    return ["photographs", "figure", *map(short_name, models), "difference"]


def _rows(differences: Sequence[Difference]) -> list[list[str]]:
    rows = []
    for each in differences:
        if not (math.isnan(each.ours) and math.isnan(each.theirs)):
            values = [number(each.ours), number(each.theirs)]
            rows.append([each.state, _HEADS[each.figure], *values, _difference(each)])
    return rows


def _difference(each: Difference) -> str:
    if math.isnan(each.difference):
        return "-"
    low, high = each.interval
    ends = "" if math.isnan(low) else f" [{low:+.3f}, {high:+.3f}]"
    return f"{each.difference:+.3f}{ends}{' *' if each.sure else ''}"


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def _plain(each: Difference) -> dict[str, Any]:
    low, high = each.interval
    names = ("state", "figure", "images", "ours", "theirs", "difference")
    return {name: getattr(each, name) for name in names} | {"low": low, "high": high}
