"""How far a figure can be trusted: bootstrap intervals over groups, and exact bounds of a rate. Pure numpy."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class Stratum(NamedTuple):
    """What a simple random sample of a part of a population showed."""

    #: of the sample, 0 to `trials`
    hits: int
    #: size of the sample, drawn without replacement
    trials: int
    #: size of the part
    population: int


def finite_interval(part: Stratum, confidence: float = CONFIDENCE) -> Interval:
    """Exact limits of the share of hits in a finite population, from a sample without replacement.

    The shares that neither tail of the hypergeometric distribution refutes at half of ``1 - confidence`` (Buonaccorsi,
    The American Statistician 41, 1987): covers at least as often as ``confidence`` says. A population that was looked
    at whole has the share itself at both ends; without trials it is (0, 1). Raises ValueError for impossible counts.
    """
    hits, trials, population = part
    if not 0 <= hits <= trials <= population or population == 0:
        raise ValueError(f"{hits} of {trials} out of {population} is no count")
    most = _most_in_population(part, (1 - confidence) / 2)
    least = population - _most_in_population(Stratum(trials - hits, trials, population), (1 - confidence) / 2)
    return least / population, most / population


def stratified_interval(parts: Sequence[Stratum], confidence: float = CONFIDENCE) -> tuple[float, Interval]:
    """The share of hits in a population that was sampled part by part, and its limits.

    The estimate is the mean of the parts' shares, weighted by their sizes. Its limits come from the parts' exact
    ones by the method of variance estimates recovery: their distances from the shares, weighted and added in squares
    (Zou, Huang and Zhang, Computational Statistics & Data Analysis 53, 2009). So a part without hits has a say, which
    a normal approximation would take from it; of one part, the limits are `finite_interval`. Raises ValueError for
    impossible counts, and for a part of which nothing was drawn.
    """
    whole = sum(part.population for part in parts)
    least, most = sum(part.hits for part in parts), whole - sum(part.trials - part.hits for part in parts)
    value = below = above = 0.0
    for part in parts:
        if part.trials == 0:
            raise ValueError(f"nothing was drawn of {part.population}")
        low, high = finite_interval(part, confidence)
        share, weight = part.hits / part.trials, part.population / whole
        value += weight * share
        below += (weight * (share - low)) ** 2
        above += (weight * (high - share)) ** 2
    return value, (max(least / whole, value - math.sqrt(below)), min(most / whole, value + math.sqrt(above)))


def _most_in_population(part: Stratum, tail: float) -> int:
    """The most hits in the population with which so few in the sample are still as likely as ``tail``."""
    hits, trials, population = part
    low, high = hits, population - (trials - hits)
    while low < high:
        middle = (low + high + 1) // 2
        if _hypergeometric_cdf(part, middle) > tail:
            low = middle
        else:
            high = middle - 1
    return low


def _hypergeometric_cdf(part: Stratum, marked: int) -> float:
    """P(at most ``part.hits`` in the sample) with ``marked`` hits in the population; by logarithms, as below."""
    hits, trials, population = part
    first = max(0, trials - (population - marked))
    if hits < first:
        return 0.0
    if hits >= min(trials, marked):
        return 1.0
    k = np.arange(first, hits, dtype=np.float64)
    steps = np.log((marked - k) * (trials - k)) - np.log((k + 1) * (population - marked - trials + k + 1))
    begins = _log_choose(marked, first) + _log_choose(population - marked, trials - first)
    terms = begins - _log_choose(population, trials) + np.concatenate([[0.0], np.cumsum(steps)])
    return float(np.exp(terms).sum())


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


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
