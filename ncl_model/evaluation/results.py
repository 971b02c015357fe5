"""What an evaluation knows of one set: records, figures, and what distortions leave of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ncl_model.evaluation.figures import Evaluation, LabelledSet, summarize
from ncl_model.evaluation.records import BESIDE, ImageRecord


@dataclass(kw_only=True)
class SetResult:
    """What is known of one set; ``records`` grows while it is judged."""

    labelled: LabelledSet
    #: score from which the model flags an image by default
    threshold: float
    records: list[ImageRecord] = field(default_factory=list)
    #: records by distortion, in the order of the suite; empty without the suite
    distorted: dict[str, list[ImageRecord]] = field(default_factory=dict)
    #: with --resave: the same records, authentic photographs saved as the tampered ones were
    resaved: list[ImageRecord] = field(default_factory=list)
    #: records by suite and treatment, those of the photographs as they are first; empty without suites
    treated: dict[str, dict[str, list[ImageRecord]]] = field(default_factory=dict)
    #: filled in when the set ends, or is broken off
    evaluation: Evaluation | None = None
    robustness: dict[str, Evaluation] = field(default_factory=dict)
    resaved_evaluation: Evaluation | None = None
    treated_evaluations: dict[str, dict[str, Evaluation]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.records) == len(self.labelled.samples)

    @property
    def problems(self) -> list[ImageRecord]:
        """Images that could not be judged."""
        return [record for record in self.records if record.problem is not None]

    def untestable(self, suite: str) -> dict[str, Counter[str]] | None:
        """By treatment of a suite, how many photographs could not be tested for a kind of evidence, by kind.

        None where the model has one kind alone.
        """
        by_name = self.treated.get(suite, {})
        if all(record.untestable is None for records in by_name.values() for record in records):
            return None
        return {
            name: Counter(kind for record in records for kind in (record.untestable or "").split(BESIDE) if kind)
            for name, records in by_name.items()
        }

    def summarize(self) -> None:
        """Compute the figures of what is there."""
        self.evaluation = self._figures(self.records)
        self.resaved_evaluation = self._figures(self.resaved) if self.resaved else None
        self.robustness = self._all_figures(self.distorted)
        self.treated_evaluations = {name: self._all_figures(each) for name, each in self.treated.items()}

    def _figures(self, records: list[ImageRecord]) -> Evaluation:
        return summarize(records, threshold=self.threshold)

    def _all_figures(self, records: dict[str, list[ImageRecord]]) -> dict[str, Evaluation]:
        return {name: self._figures(each) for name, each in records.items()}
