"""Two models on the same photographs: differences of their figures, with paired intervals.

Both models saw the same files, so an interval of the difference is drawn over the same groups for both (paired
bootstrap): what makes a photograph hard is hard for either, and drops out. Two intervals of their own that overlap say
little about the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ncl_model.evaluation.figures import FIGURES, FLAGGING_FIGURES, Columns
from ncl_model.evaluation.records import ImageRecord
from ncl_model.evaluation.results import SetResult
from ncl_model.evaluation.treated_tables import TREATED_FIGURES
from ncl_model.imaging.benign import AS_IT_IS
from ncl_model.intervals import ROUNDS, Figure, Interval, group_bootstrap


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One figure of both models, in one state of the photographs; NaN where it is not defined."""

    #: "as it is", or the suite's name and the treatment: "benign: crop"
    state: str
    figure: str
    ours: float
    theirs: float
    #: 95 %, of ``ours`` minus ``theirs``; (NaN, NaN) where groups are too few
    interval: Interval
    #: photographs that both could judge
    images: int

    @property
    def difference(self) -> float:
        """``ours`` minus ``theirs``."""
        return self.ours - self.theirs

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out."""
        low, high = self.interval
        return low > 0 or high < 0


def compare_sets(ours: SetResult, theirs: SetResult, *, rounds: int = ROUNDS, seed: int = 0) -> list[Difference]:
    """Differences in every state that was judged: all figures as the photographs are, fewer after treatments."""
    found = []
    for state, figures, (mine, others) in _states(ours, theirs):
        found += compare(
            state, figures, mine, others, thresholds=(ours.threshold, theirs.threshold), rounds=rounds, seed=seed
        )
    return found


def compare(
    state: str,
    figures: Sequence[str],
    ours: Sequence[ImageRecord],
    theirs: Sequence[ImageRecord],
    *,
    thresholds: tuple[float, float],
    rounds: int = ROUNDS,
    seed: int = 0,
) -> list[Difference]:
    """Differences of these figures on the photographs that both judged; each model flags at its own threshold.

    Photographs are paired by name. Any order of the records gives the same.
    """
    known = {record.name: record for record in theirs if record.problem is None}
    mine = sorted(
        (r for r in ours if r.problem is None and r.name in known), key=lambda record: (record.group, record.name)
    )
    first = Columns(mine, thresholds[0]).figures(figures)
    second = Columns([known[record.name] for record in mine], thresholds[1]).figures(figures)
    differences = {name: _minus(first[name], second[name]) for name in figures}
    intervals = group_bootstrap([r.group for r in mine], differences, rounds=rounds, seed=seed)
    everything = np.arange(len(mine), dtype=np.intp)
    return [
        Difference(
            state=state,
            figure=name,
            ours=first[name](everything),
            theirs=second[name](everything),
            interval=intervals[name],
            images=len(mine),
        )
        for name in figures
    ]


def _states(
    ours: SetResult, theirs: SetResult
) -> Iterator[tuple[str, tuple[str, ...], tuple[list[ImageRecord], list[ImageRecord]]]]:
    yield AS_IT_IS, (*FIGURES, *FLAGGING_FIGURES), (ours.records, theirs.records)
    for suite, treatments in ours.treated.items():
        for treatment, records in treatments.items():
            if treatment != AS_IT_IS:
                others = theirs.treated.get(suite, {}).get(treatment, [])
                yield f"{suite}: {treatment}", tuple(TREATED_FIGURES), (records, others)


def _minus(first: Figure, second: Figure) -> Figure:
    return lambda drawn: first(drawn) - second(drawn)
