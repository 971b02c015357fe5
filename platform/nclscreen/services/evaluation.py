"""The figures of a model on labelled photographs, in this process, without database or cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nclscreen.wiring import Wiring

#: told (done, total, name of the set) as often as there is news
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRequest:
    """Which model is measured on what."""

    #: an index.csv, or a folder in a known layout, each
    data: Sequence[Path]
    #: folder for tables, records and figure sheets
    out: Path
    #: None: those of this installation
    weights: Path | None = None
    #: also under the paper's distortions
    robustness: bool = False
    #: also after operations that tamper with nothing
    benign: bool = False
    #: also after the random histories that training photographs get
    laundered: bool = False
    #: weights to compare with on the same photographs
    against: Path | None = None
    #: also with the authentic photographs saved again as the tampered ones were
    resave: bool = False
    #: None: that of this installation
    precision: Literal["float32", "bfloat16"] | None = None
    #: cpu, cuda, cuda:1 ...
    device: str = "cpu"
    #: at most so many images of each set, spread evenly
    limit: int | None = None


class Evaluation:
    """One measurement. What was judged can be asked for also when it broke off."""

    def __init__(self, wiring: Wiring, request: EvaluationRequest) -> None:
        """Raises DatasetInvalid for what is no source, and the errors of the model's file."""
        from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
        from ncl_model.evaluation.laundered import asked_suites
        from ncl_model.inference.predictor import Predictor

        self.request = request
        self._sets = read_sets(request.data, request.limit)
        weights, precision = request.weights or wiring.model.weights, request.precision or wiring.model.precision
        predictor = Predictor.setup(weights, precision, device=request.device)
        other = None if request.against is None else Predictor.setup(request.against, precision, device=request.device)
        self._run = EvaluationRun(
            predictor,
            request.out,
            robustness=request.robustness,
            resave=request.resave,
            suites=asked_suites(benign=request.benign, laundered=request.laundered),
            against=other,
        )

    def run(self, progress: Progress) -> None:
        """Judge every photograph. Raises OutputUnwritable, FolderInUse."""
        self._run.run(self._sets, progress)

    @property
    def judged(self) -> int:
        """Images so far."""
        return sum(len(result.records) for result in self._run.results)

    @property
    def has_problems(self) -> bool:
        """Whether photographs could not be read."""
        return any(result.problems for result in self._run.results)

    @property
    def document(self) -> dict[str, Any]:
        """Everything but the single images, as JSON types."""
        from ncl_model.evaluation.run_tables import run_document

        return run_document(self._run) | {"out": str(self.request.out)}

    @property
    def figures_text(self) -> str:
        """The figures as a table, in lines."""
        from ncl_model.evaluation.reporting import figures_text

        return figures_text(self._run.results)

    @property
    def text(self) -> str:
        """All tables that were asked for, in lines."""
        from ncl_model.evaluation.run_tables import run_text

        return run_text(self._run)
