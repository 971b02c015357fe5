"""How far a figure can be trusted: bootstrap intervals over groups, and exact bounds of a rate. Pure numpy."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Figure = Callable[[NDArray[np.intp]], float]

#: coverage of every interval in this project
CONFIDENCE = 0.95
#: resamples of a bootstrap; the ends of an interval then move by a few thousandths between seeds
ROUNDS = 1000


def group_bootstrap(
    groups: Sequence[str], figures: dict[str, Figure], *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Interval]:
    """95 % percentile intervals of figures, by drawing whole groups with replacement.

    ``groups`` names the group of each image; photographs of one group share source material and are not
    independent, so drawing single images would promise too much. Each figure maps drawn positions (n,) to a value;
    draws where it is NaN (a class is missing) are left out. All figures see the same draws. The same ``seed`` gives
    the same intervals. An interval is (NaN, NaN) with fewer than two groups, or when no draw gave a value.
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.)
    """
    members: dict[str, list[int]] = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    if len(members) < 2:
        return dict.fromkeys(figures, (math.nan, math.nan))
    # sorted, so that the order in which images were read changes nothing
    clusters = [np.array(members[group], dtype=np.intp) for group in sorted(members)]
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(rounds):
        positions = np.concatenate([clusters[i] for i in rng.integers(0, len(clusters), len(clusters))])
        for name, figure in figures.items():
            drawn[name].append(figure(positions))
    return {name: _percentiles(np.array(values)) for name, values in drawn.items()}


def upper_bound(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson upper bound of a rate after ``hits`` of ``trials``, in [0, 1].

    With this confidence the true rate is not above it (Clopper and Pearson, Biometrika 26, 1934). 1.0 without
    trials, or when every trial was a hit. Raises ValueError for impossible counts.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} of {trials} is no count")
    if hits == trials:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(60):  # halving: far below double precision
        middle = (low + high) / 2
        if _binomial_cdf(hits, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(hits: int, trials: int, rate: float) -> float:
    """P(at most ``hits``); by logarithms, so that thousands of trials do not overflow."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    whole = math.lgamma(trials + 1)
    terms = (
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        for k in range(hits + 1)
    )
    return math.fsum(math.exp(term) for term in terms)


def _percentiles(values: NDArray[np.float64]) -> Interval:
    known = values[~np.isnan(values)]
    if known.size == 0:
        return math.nan, math.nan
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)
