"""Choices made on validation images: the logit shift and the score rule.

None of them may ever see a test set.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncl_model.evaluation.records import at_size
from ncl_model.inference.scoring import FloatMap, Rule, map_score
from ncl_model.intervals import ROUNDS, Figure, Interval, group_bootstrap
from ncl_model.metrics import auc, pixel_f1, recall_at_fpr

#: scores by rule, equally long
Scores = Mapping[Rule, Sequence[float]]

#: candidates for what is added to the last logit, rising: a network may be too bold, or much too timid
SHIFTS: tuple[float, ...] = tuple(step / 4 for step in range(-8, 17))
#: candidate rules that ask the map alone, simpler ones first
MAP_RULES: tuple[Rule, ...] = (
    *(Rule(map_rule="top_mean", number=f) for f in (0.001, 0.003, 0.01, 0.03, 0.1)),
    *(Rule(map_rule="area", number=c) for c in (0.2, 0.35, 0.5, 0.65, 0.8, 0.9)),
    *(Rule(map_rule="peak", number=w) for w in (4, 8, 16, 32, 64)),
)
HEAD = Rule(map_rule=None, head=True)
#: the logits are left as near to what was trained as they can be: F1 has to gain at least this much by a further shift
_WORTH = 0.005
#: rules whose image AUC is this close to the best are told apart by their recall at 5 % false positives
NEAR_BEST = 0.005
CRITERION = (
    f"among the rules within {NEAR_BEST} of the highest image AUC against resaved authentic images, the highest recall "
    "at 5 % false positives of all authentic images; then the earlier in the list. Where one of the two figures is "
    "missing, the one of the labelled images as they are stands in"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A validation image, its map and its truth."""

    #: (h, w) float32
    probabilities: NDArray[np.float32]
    #: (H, W) bool; None = authentic
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True, kw_only=True)
class RuleFigures:
    """How well the scores of one rule tell tampered from authentic images."""

    rule: Rule
    #: against the authentic images of the labelled sources: what the choice is made by
    image_auc: float
    recall_at_fpr1: float
    recall_at_fpr5: float
    #: against the same authentic images saved as tampered ones were (``equal_saving``); NaN where there are none
    resaved_auc: float = math.nan
    #: against all authentic images, those of other cameras included; NaN without others
    recall_at_fpr5_of_all: float = math.nan
    #: 95 % bootstrap intervals over groups, of the first three
    intervals: Mapping[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, rounded, with the rule in words; undefined figures are None."""
        intervals = {name: [_rounded(end) for end in ends] for name, ends in self.intervals.items()}
        return {"rule": str(self.rule), **{n: _rounded(getattr(self, n)) for n in RULE_FIGURES}, "intervals": intervals}


#: figures of a rule and their heads in a table
RULE_FIGURES = {
    "image_auc": "image AUC",
    "recall_at_fpr1": "recall at 1 %",
    "recall_at_fpr5": "recall at 5 %",
    "resaved_auc": "AUC, resaved",
    "recall_at_fpr5_of_all": "recall at 5 % of all",
}


def shifted(probabilities: FloatMap, shift: float) -> FloatMap:
    """The probabilities after adding ``shift`` to their logits: odds times exp(shift)."""
    odds = np.exp(shift)
    result: FloatMap = (probabilities * odds / (1 - probabilities + probabilities * odds)).astype(np.float32)
    return result


def choose_shift(judged: Iterable[Judged]) -> tuple[float, dict[float, float]]:
    """The shift that makes 0.5 the threshold to use, and the mean pixel F1 at 0.5 of every candidate.

    Training weighs pixels, F1 weighs images, so a network that minimises the one is too timid for the other. Takes
    one image after the other; authentic ones are passed over. Raises ValueError without a tampered one.
    """
    rows = [
        [pixel_f1(at_size(shifted(j.probabilities, shift), _size(j.mask)), j.mask) for shift in SHIFTS]
        for j in judged
        if j.mask is not None and j.mask.any()
    ]
    if not rows:
        raise ValueError("no tampered validation image to choose the logit shift on")
    figures = dict(zip(SHIFTS, map(float, np.mean(rows, axis=0)), strict=True))
    best = max(figures.values())
    good = [shift for shift in SHIFTS if figures[shift] >= best - _WORTH]
    return min(good, key=lambda shift: (abs(shift), shift)), figures


def scores_of(probabilities: FloatMap) -> dict[Rule, float]:
    """The score of one (h, w) map by every candidate that asks the map alone."""
    return {rule: map_score(rule.map_rule, probabilities, rule.number) for rule in MAP_RULES if rule.map_rule}


def column(scores: Scores, rule: Rule) -> NDArray[np.float64]:
    """(N,) scores by a rule, as verdicts have them (float32); one that asks map and head is joined from the two."""
    count = len(next(iter(scores.values())))
    of_map = [None] * count if rule.map_rule is None else scores[dataclasses.replace(rule, head=False)]
    head = scores[HEAD] if rule.head else [None] * count
    joined = [rule.joined(value, logit) for value, logit in zip(of_map, head, strict=True)]
    return np.array(joined, dtype=np.float32).astype(np.float64)


def compare_rules(
    scores: Scores,
    labels: Sequence[bool],
    groups: Sequence[str],
    *,
    resaved: Scores | None = None,
    others: Scores | None = None,
    rounds: int = ROUNDS,
) -> list[RuleFigures]:
    """Figures of every rule on validation images, in the order of the candidates.

    ``scores``: one per image by each map rule, and the head's probability under ``HEAD`` where there is a head: then
    the head alone and the head with the best map rule join the candidates. ``labels`` True = tampered. ``resaved``
    and ``others``: scores of more authentic images, for the figures named so. Raises ValueError when a class is
    missing: nothing can be chosen then.
    """
    truth = np.array(labels, dtype=np.bool_)
    if truth.all() or not truth.any():
        raise ValueError("validation needs tampered and authentic images to choose a score rule")

    def compared(rule: Rule) -> RuleFigures:
        values = column(scores, rule)
        figures = _figures(rule, values, truth, groups, rounds)
        if resaved:
            again = column(resaved, rule)
            figures = dataclasses.replace(figures, resaved_auc=auc(*_against(values[truth], again)))
        if others:
            everybody = np.concatenate([values[~truth], column(others, rule)])
            recall = recall_at_fpr(*_against(values[truth], everybody), 0.05)
            figures = dataclasses.replace(figures, recall_at_fpr5_of_all=recall)
        return figures

    found = [compared(rule) for rule in MAP_RULES]
    if HEAD in scores:
        best = choose_rule(found).rule
        found += [compared(HEAD), compared(dataclasses.replace(best, head=True))]
    return found


def choose_rule(figures: Sequence[RuleFigures]) -> RuleFigures:
    """The rule to ship, by ``CRITERION``: what only tells how a file was saved must not choose it."""

    def ranking(f: RuleFigures) -> float:
        return f.image_auc if math.isnan(f.resaved_auc) else f.resaved_auc

    def recall(f: RuleFigures) -> float:
        return f.recall_at_fpr5 if math.isnan(f.recall_at_fpr5_of_all) else f.recall_at_fpr5_of_all

    best = max(map(ranking, figures))
    return max((f for f in figures if ranking(f) >= best - NEAR_BEST), key=recall)


def _figures(
    rule: Rule, scores: NDArray[np.float64], labels: NDArray[np.bool_], groups: Sequence[str], rounds: int
) -> RuleFigures:
    figures: dict[str, Figure] = {
        "image_auc": lambda drawn: auc(scores[drawn], labels[drawn]),
        "recall_at_fpr1": lambda drawn: recall_at_fpr(scores[drawn], labels[drawn], 0.01),
        "recall_at_fpr5": lambda drawn: recall_at_fpr(scores[drawn], labels[drawn], 0.05),
    }
    everything = np.arange(len(scores), dtype=np.intp)
    unknown = dict.fromkeys(figures, (math.nan, math.nan))
    return RuleFigures(
        rule=rule,
        **{name: figure(everything) for name, figure in figures.items()},
        intervals=group_bootstrap(groups, figures, rounds=rounds) if rounds else unknown,
    )


def _against(
    tampered: NDArray[np.float64], authentic: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels of the two together."""
    return np.concatenate([tampered, authentic]), np.arange(tampered.size + authentic.size) < tampered.size


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _size(mask: NDArray[np.bool_]) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]
