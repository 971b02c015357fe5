"""How several kinds of evidence become one score: each by what authentic photographs reach, the strongest counts.

A statistic becomes a surprise: -log10 of the share of authentic photographs that reach it, each in the worst of its
benign states (a conformal p-value; Vovk et al., 2005). The strongest surprise of several kinds is no p-value any more,
so it is ranked once more among the strongest of the same photographs [ours; the least of several p-values, Tippett
1931, refitted jointly]. The score is 1 - p: 0.95 is what one in twenty authentic photographs reaches in its worst
state. Pure Python: the numbers are part of the model's config, and so of its fingerprint.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from ncl_model.errors import ConfigInvalid

#: shares of authentic photographs whose statistics are kept
RATES = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)
#: from this share on the tail is taken to fall exponentially
_TAIL_FROM = 0.1
#: no surprise is larger: a float32 score has seven digits
_MOST = 6.0


@dataclass(frozen=True, kw_only=True)
class SurpriseScale:
    """From a statistic to its surprise."""

    #: statistics that the shares ``RATES`` of authentic photographs reach, never falling
    levels: tuple[float, ...]
    #: surprise per unit of the statistic beyond the last level
    tail: float

    def __post_init__(self) -> None:
        levels = tuple(float(level) for level in self.levels)
        if len(levels) != len(RATES) or not all(map(math.isfinite, levels)) or any(a > b for a, b in pairwise(levels)):
            raise ConfigInvalid("evidence", f"levels must be {len(RATES)} finite numbers that never fall")
        if not math.isfinite(self.tail) or self.tail < 0:
            raise ConfigInvalid("evidence", "tail must be a finite number from 0 on")
        object.__setattr__(self, "levels", levels)

    @classmethod
    def fit(cls, statistics: Sequence[float]) -> Self:
        """Fit on authentic photographs, one statistic each: the largest over its benign states.

        Level r is the statistic that at most r of them and one more reach, so that a photograph like them reaches it
        with probability r at most. Raises ValueError for fewer than 1 / min(RATES) photographs.
        """
        count = len(statistics)
        if count + 1 < 1 / RATES[-1]:
            raise ValueError(f"{count} authentic photographs are too few to fit a rate of {RATES[-1]:g}")
        falling = sorted(map(float, statistics), reverse=True)
        levels = [falling[min(count, math.floor(rate * (count + 1) + 1e-9)) - 1] for rate in RATES]
        beyond = falling[: max(1, round(_TAIL_FROM * count))]
        excess = sum(value - beyond[-1] for value in beyond) / len(beyond)
        return cls(levels=tuple(levels), tail=1 / (math.log(10) * max(excess, 1e-3)))

    def surprise(self, statistic: float) -> float:
        """-log10 of the share of authentic photographs that reach ``statistic``, 0 to 6; never above the truth."""
        place = bisect_left(self.levels, statistic)
        if place == 0:
            return 0.0
        if place == len(self.levels):
            return min(_MOST, -math.log10(RATES[-1]) + self.tail * (statistic - self.levels[-1]))
        low, high = self.levels[place - 1], self.levels[place]
        below, above = -math.log10(RATES[place - 1]), -math.log10(RATES[place])
        return below + (above - below) * (statistic - low) / (high - low)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"levels": list(self.levels), "tail": self.tail}


@dataclass(frozen=True, kw_only=True)
class EvidenceRule:
    """Scales of all kinds of evidence, and of the strongest of them."""

    #: by kind
    scales: Mapping[str, SurpriseScale]
    #: of the largest surprise
    joint: SurpriseScale

    @classmethod
    def fit(cls, statistics: Mapping[str, Sequence[float]]) -> Self:
        """Fit on the same authentic photographs, in the same order, for every kind. Raises ValueError for too few."""
        scales = {kind: SurpriseScale.fit(values) for kind, values in statistics.items()}
        surprises = [[scales[kind].surprise(v) for v in values] for kind, values in statistics.items()]
        return cls(scales=scales, joint=SurpriseScale.fit([max(each) for each in zip(*surprises, strict=True)]))

    def scores(self, statistics: Mapping[str, float]) -> dict[str, float]:
        """What each kind alone would give as the score, in [0, 1]; kinds without a scale or a statistic are left out.

        The image's score is the largest.
        """
        found = {}
        for kind, scale in self.scales.items():
            if kind in statistics:
                found[kind] = 1 - 10 ** -self.joint.surprise(scale.surprise(statistics[kind]))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"scales": {kind: scale.to_dict() for kind, scale in self.scales.items()}, "joint": self.joint.to_dict()}

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Read what ``to_dict`` wrote. Raises ConfigInvalid."""
        try:
            scales = {str(kind): SurpriseScale(**scale) for kind, scale in values["scales"].items()}  # type: ignore[index]
            return cls(scales=scales, joint=SurpriseScale(**values["joint"]))  # type: ignore[index]
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigInvalid("evidence", f"is not what a release writes ({error})") from error
