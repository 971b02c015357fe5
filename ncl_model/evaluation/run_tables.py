"""All that an evaluation found, for a terminal and as JSON: the hardest table first."""

from __future__ import annotations

from typing import Any

from ncl_model.evaluation.comparison_tables import comparison_document, comparison_text
from ncl_model.evaluation.evaluation_run import EvaluationRun
from ncl_model.evaluation.reporting import document, figures_text, robustness_text
from ncl_model.evaluation.treated_tables import treated_text


def run_text(run: EvaluationRun) -> str:
    """Tables with an empty line between them: what treatments leave, figures as the photographs are, distortions."""
    tables = [treated_text(suite, run.results) for suite in run.suites]
    tables.append(figures_text(run.results))
    if run.robustness:
        tables.append(robustness_text(run.results))
    if run.against is not None:
        tables.append(comparison_text((run.predictor, run.against), run.differences))
    return "\n".join(tables)


def run_document(run: EvaluationRun) -> dict[str, Any]:
    """Everything but the single images, as JSON types; an undefined figure is null."""
    found = document(run.predictor, run.results)
    if run.against is not None:
        found["against"] = comparison_document(run.against, run.differences)
    return found
