"""How far two people who do not know of each other agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.domain import Decision

#: what the first said and what the second said
Pair = tuple[Decision, Decision]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Agreement beyond chance (Cohen, Educational and Psychological Measurement 20, 1960)."""

    #: images that two people have decided on
    images: int
    #: of which they said the same
    same: int
    #: share of the same that chance alone would give, from how often each decision was given, in [0, 1]
    by_chance: float
    #: 1: always the same; 0: as by chance; below: less often. None where all said one thing, or nothing was said
    kappa: float | None


def cohens_kappa(pairs: Mapping[Pair, int]) -> Agreement:
    """Of so many images for each pair of decisions."""
    images = sum(pairs.values())
    same = sum(count for (first, second), count in pairs.items() if first is second)
    if not images:
        return Agreement(images=0, same=0, by_chance=0.0, kappa=None)
    firsts, seconds = (
        {decision: sum(count for pair, count in pairs.items() if pair[who] is decision) for decision in Decision}
        for who in (0, 1)
    )
    by_chance = sum(firsts[decision] * seconds[decision] for decision in Decision) / images**2
    kappa = None if by_chance == 1 else (same / images - by_chance) / (1 - by_chance)
    return Agreement(images=images, same=same, by_chance=by_chance, kappa=kappa)
