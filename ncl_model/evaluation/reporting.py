"""The results of an evaluation as text, CSV, Markdown, JSON and a chart. No files are written here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from ncl_model.evaluation.charts import bar_chart
from ncl_model.evaluation.figures import FIGURES, FLAGGING_FIGURES, Evaluation
from ncl_model.evaluation.results import SetResult
from ncl_model.evaluation.tables import (
    csv_text,
    markdown_table,
    markdown_text,
    number,
    text_table,
    with_interval,
)
from ncl_model.evaluation.treated_tables import value_of
from ncl_model.inference.calibration import default_threshold
from ncl_model.inference.predictor import Predictor
from ncl_model.shown_text import one_line

#: what the robustness tables show of each distortion
SUITE_FIGURES = ("pixel_auc", "pixel_f1", "image_auc")
#: name of the line with equal saving, see ``equal_saving``
RESAVED = "authentic resaved"
#: unreadable images that a table names; images.csv has them all
NAMED = 20

#: what the tables of sets show
_SHOWN = FIGURES | FLAGGING_FIGURES
_INTERVALS = "In parentheses: 95 % bootstrap intervals over groups of images that share source photographs."


def figures_text(results: Sequence[SetResult]) -> str:
    """For a terminal: figures alone, then whatever could not be read."""
    rows = [row for result in results for row in _rows(result, intervals=False)]
    return text_table(_head(), rows) + "".join(f"{one_line(line)}\n" for result in results for line in notes(result))


def figures_markdown(predictor: Predictor, results: Sequence[SetResult]) -> str:
    """The table with intervals, under what was evaluated."""
    text = f"# Evaluation\n\n{described(predictor)}\n\n"
    text += markdown_table(_head(), [row for result in results for row in _rows(result, intervals=True)])
    text += (
        f"\n{_INTERVALS}\nPixel figures: per image at the native size of the mask, F1 and IoU at 0.5, mean over "
        "tampered images. Recall: at 1 % and 5 % false positives among the authentic images of the same set; the last "
        "two columns are at the model's default threshold"
        f"{''.join(f', {number(t)}' for t in sorted({result.threshold for result in results}))}.\n"
    )
    if any(result.resaved_evaluation is not None for result in results):
        text += (
            f'"{RESAVED}": every authentic photograph saved once more with the JPEG settings of a tampered one of the '
            "set, so that the last saving gives nothing away.\n"
        )
    lines = [line for result in results for line in notes(result)]
    return text + ("\n" + "".join(f"- {markdown_text(line)}\n" for line in lines) if lines else "")


def figures_csv(results: Sequence[SetResult]) -> str:
    """One line per set: counts, figures, and the ends of the intervals."""
    bounds = [f"{name}{end}" for name in _SHOWN for end in ("", "_low", "_high")]
    columns = ["set", "complete", "tampered", "authentic", "with_pixels", "unreadable", "threshold", *bounds]
    rows = [
        _flat(name, evaluation) | {"complete": result.complete, "threshold": result.threshold}
        for result in results
        for name, evaluation in _lines(result)
    ]
    return csv_text(rows, columns)


def robustness_text(results: Sequence[SetResult]) -> str:
    """For a terminal: one table per set."""
    return "\n".join(
        f"{one_line(result.labelled.name)}\n{text_table(_suite_head(), _suite_rows(result, intervals=False))}"
        for result in results
    )


def robustness_markdown(predictor: Predictor, results: Sequence[SetResult]) -> str:
    """One table per set, with intervals."""
    text = f"# Robustness\n\n{described(predictor)}\n\n"
    for result in results:
        table = markdown_table(_suite_head(), _suite_rows(result, intervals=True))
        text += f"## {markdown_text(result.labelled.name)}\n\n{table}\n"
    return text + f"{_INTERVALS}\n"


def robustness_csv(results: Sequence[SetResult]) -> str:
    """One line per set and distortion."""
    bounds = [f"{name}{end}" for name in SUITE_FIGURES for end in ("", "_low", "_high")]
    rows = [
        _flat(result.labelled.name, evaluation) | {"distortion": name}
        for result in results
        for name, evaluation in result.robustness.items()
    ]
    return csv_text(rows, ["set", "distortion", "tampered", "authentic", "unreadable", *bounds])


def robustness_chart(predictor: Predictor, result: SetResult) -> Image.Image:
    """Bars of pixel AUC, pixel F1 and image AUC by distortion."""
    series = [(FIGURES[f], [getattr(e, f) for e in result.robustness.values()]) for f in SUITE_FIGURES]
    title = f"Robustness on {result.labelled.name}"
    return bar_chart(title, described(predictor), list(result.robustness), series)


def sheet_titles(predictor: Predictor, result: SetResult) -> tuple[str, str]:
    """Title and subtitle of a figure sheet."""
    evaluation = result.evaluation
    shown = [f"{head} {number(getattr(evaluation, name), 2)}" for name, head in FIGURES.items()] if evaluation else []
    return f"{result.labelled.name}: {', '.join(shown)}", described(predictor)


def document(predictor: Predictor, results: Sequence[SetResult]) -> dict[str, Any]:
    """Everything but the single images, as JSON types; an undefined figure is null."""
    return {
        "model": model_document(predictor),
        "sets": [
            {
                "name": result.labelled.name,
                "complete": result.complete,
                **_plain(result.evaluation),
                "problems": [{"image": r.name, "problem": r.problem} for r in result.problems],
                **({"resaved": _plain(result.resaved_evaluation)} if result.resaved_evaluation else {}),
                **({"robustness": {n: _plain(e) for n, e in result.robustness.items()}} if result.robustness else {}),
                **{suite: _treated(result, suite) for suite in result.treated_evaluations},
            }
            for result in results
        ],
    }


def _treated(result: SetResult, suite: str) -> dict[str, Any]:
    """Figures by treatment; with how many could not be tested for which evidence, where there are several kinds."""
    untested = result.untestable(suite)
    figures = {name: _plain(each) for name, each in result.treated_evaluations[suite].items()}
    if untested is None:
        return figures
    return {name: each | {"untestable": dict(untested[name])} for name, each in figures.items()}


def model_document(predictor: Predictor) -> dict[str, Any]:
    """A model as JSON types."""
    return {
        "name": predictor.name,
        "version": predictor.version,
        "fingerprint": predictor.fingerprint,
        "precision": predictor.precision,
        "score_rule": str(predictor.rule),
        "threshold": default_threshold(predictor.checkpoint.metrics),
    }


def notes(result: SetResult) -> list[str]:
    """What a reader of the figures must know: a set broken off, images that could not be read."""
    name = result.labelled.name
    lines = []
    if not result.complete:
        lines.append(f"{name}: broken off after {len(result.records)} of {len(result.labelled.samples)} images")
    if problems := result.problems:
        lines.append(f"{name}: {len(problems)} of {len(result.records)} images could not be judged")
        lines += [f"{name}: {record.name}: {record.problem}" for record in problems[:NAMED]]
        lines += [f"{name}: ... and {len(problems) - NAMED} more in images.csv"] if len(problems) > NAMED else []
    return lines + [f"{name}: {reason}" for reason in _undefined(result.evaluation)]


def _undefined(evaluation: Evaluation | None) -> list[str]:
    """Why figures are missing, or mean less than they seem to."""
    if evaluation is None or not evaluation.tampered + evaluation.authentic:
        return []
    reasons = []
    if not evaluation.tampered:
        reasons.append("no tampered photographs, so there is nothing to find: no pixel figures, image AUC and recall")
    elif not evaluation.with_pixels:
        reasons.append("no tampered photograph has a mask, so there are no pixel figures")
    elif without := evaluation.tampered - evaluation.with_pixels:
        reasons.append(
            f"{without} of {evaluation.tampered} tampered photographs have no mask, or an empty one: pixel figures "
            "are over the others"
        )
    if not evaluation.authentic:
        reasons.append("no authentic photographs, so there is no image AUC and no recall at a rate of false alarms")
    return reasons


def described(predictor: Predictor) -> str:
    """What was evaluated, in a line."""
    return (
        f"{predictor.name} {predictor.version}, fingerprint {predictor.fingerprint[:12]}, {predictor.precision}, "
        f"score: {predictor.rule}"
    )


def _head() -> list[str]:
    return ["set", "tampered", "authentic", *_SHOWN.values()]


def _rows(result: SetResult, *, intervals: bool) -> list[list[str]]:
    return [
        [name, str(e.tampered), str(e.authentic), *_cells(e, tuple(_SHOWN), intervals=intervals)]
        if e is not None
        else [name, *["-"] * (2 + len(_SHOWN))]
        for name, e in _lines(result)
    ]


def _lines(result: SetResult) -> list[tuple[str, Evaluation | None]]:
    """The lines of a set in the tables of figures, by name."""
    lines = [(result.labelled.name, result.evaluation)]
    if result.resaved_evaluation is not None:
        lines.append((f"{result.labelled.name}, {RESAVED}", result.resaved_evaluation))
    return lines


def _suite_head() -> list[str]:
    return ["distortion", *(FIGURES[name] for name in SUITE_FIGURES)]


def _suite_rows(result: SetResult, *, intervals: bool) -> list[list[str]]:
    return [[name, *_cells(each, SUITE_FIGURES, intervals=intervals)] for name, each in result.robustness.items()]


def _cells(evaluation: Evaluation, names: Sequence[str], *, intervals: bool) -> list[str]:
    known = evaluation.intervals if intervals else {}
    return [with_interval(value_of(evaluation, name), known.get(name)) for name in names]


def _flat(name: str, evaluation: Evaluation | None) -> dict[str, Any]:
    flat: dict[str, Any] = {"set": name}
    if evaluation is not None:
        flat |= {count: getattr(evaluation, count) for count in ("tampered", "authentic", "with_pixels", "unreadable")}
        for figure in _SHOWN:
            low, high = evaluation.intervals.get(figure, (math.nan, math.nan))
            flat |= {figure: value_of(evaluation, figure), f"{figure}_low": low, f"{figure}_high": high}
    return flat


def _plain(evaluation: Evaluation | None) -> dict[str, Any]:
    if evaluation is None:
        return {}
    counts = {name: getattr(evaluation, name) for name in ("tampered", "authentic", "with_pixels", "unreadable")}
    figures: dict[str, Any] = {name: _known(value_of(evaluation, name)) for name in _SHOWN}
    if evaluation.flagging is not None:
        figures["false_alarms"] = evaluation.flagging.false_alarms
    intervals = {name: [_known(low), _known(high)] for name, (low, high) in evaluation.intervals.items()}
    return {**counts, **figures, "intervals": intervals}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
