"""What treatments leave of a model's figures, as text, CSV, Markdown, JSON and a chart. No files are written here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from ncl_model.evaluation.charts import bar_chart
from ncl_model.evaluation.figures import Evaluation
from ncl_model.evaluation.results import SetResult
from ncl_model.evaluation.tables import csv_text, markdown_table, markdown_text, number, text_table, with_interval
from ncl_model.evaluation.treatments import Suite
from ncl_model.inference.evidence import COPIES, PIXELS, TOGETHER, TRACES
from ncl_model.shown_text import one_line

#: what the tables show of each treatment, and their heads
TREATED_FIGURES = {
    "false_alarm_rate": "false alarms",
    "image_auc": "image AUC",
    "recall": "recall",
    "pixel_f1": "pixel F1",
    "pixel_auc": "pixel AUC",
}
#: kinds of evidence that are counted
_KINDS = (PIXELS, TRACES, TOGETHER, COPIES)
#: by treatment, how many photographs could not be tested for a kind; None where the model has one kind alone
_Untested = Mapping[str, Mapping[str, int]] | None
_CHARTED = ("false_alarm_rate", "image_auc", "pixel_f1")

PROTOCOL = (
    "Authentic and tampered photographs were treated alike, and so were the masks. False alarms and recall: authentic "
    "and tampered photographs whose score reaches the model's default threshold. Pixel figures: on tampered "
    "photographs with a mask, at its size after the treatment, F1 at 0.5."
)

UNTESTED = (
    "Not tested for: kinds of evidence that photographs, authentic or tampered, could not be tested for, and how many. "
    "A low score of these says less."
)


def value_of(evaluation: Evaluation, figure: str) -> float:
    """One figure by name, those of flagging too; NaN where it is not defined."""
    holder = evaluation.flagging if figure in {"recall", "false_alarm_rate"} else evaluation
    return math.nan if holder is None else float(getattr(holder, figure))


def treated_text(suite: Suite, results: Sequence[SetResult]) -> str:
    """For a terminal: a table per set, and the worst rate of false alarms under it."""
    return "\n".join(
        f"{one_line(title)}\n{text_table(_head(untested), _rows(found, untested, intervals=False))}"
        f"{one_line(worst(found))}\n"
        for title, found, untested in _titled(suite, results)
    )


def treated_markdown(described: str, suite: Suite, results: Sequence[SetResult]) -> str:
    """A table per set, with intervals, under what was evaluated."""
    text = f"# {suite.title}\n\n{described}\n\n{PROTOCOL}\n"
    titled = _titled(suite, results)
    if any(untested is not None for _, _, untested in titled):
        text += f"\n{UNTESTED}\n"
    for title, found, untested in titled:
        table = markdown_table(_head(untested), _rows(found, untested, intervals=True))
        text += f"\n## {markdown_text(title)}\n\n{table}\n{markdown_text(worst(found))}\n"
    return text + "\nIn parentheses: 95 % bootstrap intervals over groups of images that share source photographs.\n"


def treated_csv(suite: Suite, results: Sequence[SetResult]) -> str:
    """One line per set and treatment."""
    bounds = [f"{name}{end}" for name in TREATED_FIGURES for end in ("", "_low", "_high")]
    counts = ("tampered", "authentic", "with_pixels", "unreadable")
    rows: list[dict[str, Any]] = []
    kinds: tuple[str, ...] = ()
    for result in results:
        untested = result.untestable(suite.name)
        kinds = kinds if untested is None else _KINDS
        for treatment, evaluation in result.treated_evaluations.get(suite.name, {}).items():
            row: dict[str, Any] = {"set": result.labelled.name, "treatment": treatment, "threshold": result.threshold}
            row |= {count: getattr(evaluation, count) for count in counts}
            row |= {"false_alarms": evaluation.flagging and evaluation.flagging.false_alarms}
            for figure in TREATED_FIGURES:
                low, high = evaluation.intervals.get(figure, (math.nan, math.nan))
                row |= {figure: value_of(evaluation, figure), f"{figure}_low": low, f"{figure}_high": high}
            if untested is not None:
                row |= {f"untestable_{kind}": untested[treatment][kind] for kind in _KINDS}
            rows.append(row)
    of_kinds = [f"untestable_{kind}" for kind in kinds]
    return csv_text(rows, ["set", "treatment", "threshold", *counts, "false_alarms", *bounds, *of_kinds])


def treated_chart(described: str, suite: Suite, result: SetResult) -> Image.Image:
    """Bars of false alarms, image AUC and pixel F1 by treatment."""
    found = result.treated_evaluations.get(suite.name, {})
    series = [(TREATED_FIGURES[f], [value_of(each, f) for each in found.values()]) for f in _CHARTED]
    return bar_chart(f"{suite.title}: {result.labelled.name}", described, list(found), series)


def worst(found: dict[str, Evaluation]) -> str:
    """The treatment with most false alarms, in words."""
    rates = {name: value_of(each, "false_alarm_rate") for name, each in found.items()}
    known = {name: rate for name, rate in rates.items() if not math.isnan(rate)}
    if not known:
        return "no authentic photographs, so there are no false alarms and no image AUC"
    name = max(known, key=lambda each: known[each])
    return f"worst rate of false alarms: {100 * known[name]:.1f} % ({name})"


def _titled(suite: Suite, results: Sequence[SetResult]) -> list[tuple[str, dict[str, Evaluation], _Untested]]:
    shown = [(result, result.treated_evaluations.get(suite.name, {})) for result in results]
    return [
        (
            f"{result.labelled.name}, {suite.title.lower()}, threshold {number(result.threshold)}",
            found,
            result.untestable(suite.name),
        )
        for result, found in shown
        if found
    ]


def _head(untested: _Untested) -> list[str]:
    return ["", "authentic flagged", *TREATED_FIGURES.values(), *([] if untested is None else ["not tested for"])]


def _rows(found: dict[str, Evaluation], untested: _Untested, *, intervals: bool) -> list[list[str]]:
    return [
        [
            name,
            _counted(each),
            *_cells(each, intervals=intervals),
            *([] if untested is None else [_named(untested[name])]),
        ]
        for name, each in found.items()
    ]


def _named(untested: Mapping[str, int]) -> str:
    # what can be said of both experts together follows from that of traces
    said = [f"{kind} {untested[kind]}" for kind in _KINDS if kind != TOGETHER and untested.get(kind)]
    return ", ".join(said) or "-"


def _counted(evaluation: Evaluation) -> str:
    flagging = evaluation.flagging
    return f"{flagging.false_alarms} of {evaluation.authentic}" if flagging and evaluation.authentic else "-"


def _cells(evaluation: Evaluation, *, intervals: bool) -> list[str]:
    # an interval without width only says that every draw was alike: of no alarms none can be drawn
    known = {name: ends for name, ends in evaluation.intervals.items() if intervals and ends[0] != ends[1]}
    return [with_interval(value_of(evaluation, figure), known.get(figure)) for figure in TREATED_FIGURES]
