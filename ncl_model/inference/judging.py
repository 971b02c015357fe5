"""From maps, statistics and copied regions to what is said of one photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ncl_model.architecture.config import NclConfig
from ncl_model.copy_move import CopiedPair, CopyMoveEvidence
from ncl_model.copy_move.evidence import FractionBox
from ncl_model.inference.evidence import COPIES, NO_GRID, TOGETHER, TOO_SMALL, TRACES, Evidence
from ncl_model.inference.scoring import FloatMap, Rule

#: grids that stand out less are none (``imaging.grid.MeasuredGrids``; measured between 4 and 20)
GRID_FROM = 6.0
#: copied pairs that a verdict carries, the surest ones
_PAIRS = 4
#: a copy belongs on the map when its evidence alone would give this score
_SHOWN_FROM = 0.9
#: logits by which the two ends of a copy must differ for the network to say which is the original (right for 13 of 15
#: such pairs of `casia1/train`'s held-out part), and what becomes of the original's probability then
_CLEARLY, _DOUBTFUL = 0.5, 0.45
#: probabilities are kept this far from 0 and 1 before they become logits
_EDGE = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What the model says about one canvas."""

    #: (h, w) float32 in [0, 1] of the photograph without its padding, copied regions included
    probabilities: NDArray[np.float32]
    #: in [0, 1]
    score: float
    #: logit of the image head; None where the network has none
    head: float | None
    #: by kind of evidence; empty where the model has one kind alone
    statistics: Mapping[str, float] = field(default_factory=dict)
    evidence: Evidence | None = None


def judged(
    config: NclConfig,
    rule: Rule,
    probabilities: FloatMap,
    head: float | None,
    statistics: Mapping[str, float],
    found: CopyMoveEvidence | None,
    grid_strength: float | None = None,
) -> Judgement:
    """One photograph's map (h, w), image head, experts' statistics and copied regions as one judgement.

    ``grid_strength`` as in ``imaging.grid.MeasuredGrids``; None where the network reads no estimated grid.
    Without a fitted rule of evidence the score is that of map and head alone, and the statistics are there to fit one.
    """
    known, untestable = dict(statistics), {}
    if grid_strength is not None and grid_strength < GRID_FROM:
        # what both experts say together is led by the one of traces
        for kind in [kind for kind in (TRACES, TOGETHER) if kind in known]:
            del known[kind]
            untestable[kind] = NO_GRID
    if found is not None and found.searched:
        known[COPIES] = found.statistic
    elif found is not None:
        untestable[COPIES] = TOO_SMALL
    if config.evidence is None or not rule.evidence:
        fallback = rule if not rule.evidence else Rule(map_rule=None, head=True)
        score = fallback.score(probabilities, head)
        return Judgement(probabilities=probabilities, score=score, head=head, statistics=known)
    scores = config.evidence.scores(known)
    shown = found is not None and scores.get(COPIES, 0.0) >= _SHOWN_FROM
    if shown and found is not None and found.heatmap is not None:
        probabilities = np.maximum(probabilities, copied_map(found.heatmap, found.pairs, probabilities))
    pairs = found.pairs[:_PAIRS] if shown and found is not None else ()
    return Judgement(
        probabilities=probabilities,
        score=max(scores.values(), default=0.0),
        head=head,
        statistics=known,
        evidence=Evidence(scores=scores, untestable=untestable, copies=pairs),
    )


def copied_map(heatmap: FloatMap, pairs: Sequence[CopiedPair], probabilities: FloatMap) -> FloatMap:
    """The map of copied regions, (h, w) in [0, 1], where the network says which end of a pair is the copy.

    Pixels alone do not tell original and copy apart. Where the mean logit of ``probabilities`` is clearly lower at one
    end, that end is the original, and is shown as doubtful: below 0.5.
    """
    shown = heatmap.copy()
    bounded = np.clip(probabilities, _EDGE, 1 - _EDGE)
    logits = np.log(bounded / (1 - bounded))
    for pair in pairs:
        ends = [_end(box, heatmap) for box in (pair.first, pair.second)]
        if any(not inside.any() for _, inside in ends):
            continue
        first, second = (float(logits[window][inside].mean()) for window, inside in ends)
        if abs(first - second) > _CLEARLY:
            window, inside = ends[0 if first < second else 1]
            shown[window][inside] *= _DOUBTFUL
    return shown


def _end(box: FractionBox, heatmap: FloatMap) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """The window of one end of a pair, and which of its pixels are copied."""
    (height, width), (left, top, right, bottom) = heatmap.shape, box
    rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
    columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
    return (rows, columns), heatmap[rows, columns] > 0
