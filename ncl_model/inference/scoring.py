"""From a probability map (and the image head, if there is one) to the few numbers a verdict keeps. Pure numpy.

Maps are (H, W) probabilities of the photograph alone: whoever calls cuts the padding of the canvas off first.
The rules are ours; ``selection`` compares them on validation photographs.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from ncl_model.architecture.config import NclConfig

#: probability cut-offs of the sixteen areas every verdict carries: 0.20, 0.25, ... 0.95
AREA_CUTOFFS: tuple[float, ...] = tuple(round(0.20 + 0.05 * step, 2) for step in range(16))

FloatMap = NDArray[np.float32]
MapRule = Literal["top_mean", "area", "peak"]

#: config field that holds the number of each rule
_NUMBER_OF: dict[MapRule, str] = {
    "top_mean": "score_top_fraction",
    "area": "score_cutoff",
    "peak": "score_window",
}
#: probabilities are kept this far from 0 and 1 before their logits are averaged
_EDGE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one image score comes about: from the map, from the image head, or from both."""

    #: None: the map is not asked
    map_rule: MapRule | None
    #: top fraction, cut-off or window side, see ``NclConfig``; 0 where the map is not asked
    number: float = 0.0
    #: whether experts and copies are asked, see ``architecture.evidence_rule``; then map and head are not
    evidence: bool = False
    #: whether the image head is asked; together with the map, the mean of both logits counts
    head: bool = False

    def __post_init__(self) -> None:
        if self.map_rule is None and not self.head and not self.evidence:
            raise ValueError("a rule asks the map, the head, or both")

    def __str__(self) -> str:
        if self.evidence:
            return "evidence"
        words = [f"{self.map_rule} {self.number:g}"] if self.map_rule else []
        return " + ".join((["head"] if self.head else []) + words)

    @classmethod
    def of(cls, config: NclConfig) -> Self:
        """The rule a config asks for."""
        name: str = config.score_rule
        if name == "evidence":
            return cls(map_rule=None, evidence=True)
        for known, field in _NUMBER_OF.items():
            if name.endswith(known):
                return cls(map_rule=known, number=getattr(config, field), head=name.startswith("head"))
        return cls(map_rule=None, head=True)

    def set_in(self, config: NclConfig) -> NclConfig:
        """The config with this rule. Raises ConfigInvalid when it has no image head and the rule needs it."""
        name = "_".join((["head"] if self.head else []) + ([self.map_rule] if self.map_rule else []))
        changes: dict[str, object] = {"score_rule": name}
        if self.map_rule is not None:
            number = int(self.number) if self.map_rule == "peak" else self.number
            changes[_NUMBER_OF[self.map_rule]] = number
        return dataclasses.replace(config, **changes)  # type: ignore[arg-type]

    def score(self, probabilities: FloatMap, head_logit: float | None = None) -> float:
        """The image score in [0, 1] of an (H, W) map and the head's logit.

        Raises ValueError for an empty map, or when the rule asks a head and there is no logit.
        """
        head = _sigmoid(self._logit_given(head_logit)) if self.head else None
        of_map = None if self.map_rule is None else map_score(self.map_rule, probabilities, self.number)
        return self.joined(of_map, head)

    def joined(self, of_map: float | None, head: float | None) -> float:
        """The score from the map's value and the head's probability, of which the rule takes what it asks."""
        asked = [value for value, wanted in ((of_map, self.map_rule is not None), (head, self.head)) if wanted]
        known = [value for value in asked if value is not None]
        if len(known) != len(asked):
            raise ValueError(f"the score rule {str(self)!r} lacks one of its values")
        return known[0] if len(known) == 1 else mean_logit(known[0], known[1])

    def _logit_given(self, head_logit: float | None) -> float:
        if head_logit is None or math.isnan(head_logit):
            raise ValueError(f"the score rule {str(self)!r} needs the image head, and the network has none")
        return head_logit


def map_score(rule: MapRule, probabilities: FloatMap, number: float) -> float:
    """One of the three rules for a map; in [0, 1]. Raises ValueError for an empty map."""
    if rule == "top_mean":
        return image_score(probabilities, top_fraction=number)
    if rule == "area":
        return area_score(probabilities, cutoff=number)
    return peak_score(probabilities, window=int(number))


def mean_logit(first: float, second: float) -> float:
    """Two probabilities as one: the mean of their logits, each kept ``1e-6`` away from certainty."""
    logits = [math.log(p / (1 - p)) for p in (min(max(value, _EDGE), 1 - _EDGE) for value in (first, second))]
    return _sigmoid(sum(logits) / 2)


def image_score(probabilities: FloatMap, *, top_fraction: float) -> float:
    """One number for "was this image tampered with?": the mean of its most suspect pixels.

    ``probabilities`` is (H, W) in [0, 1]; at least one pixel is used, whatever the fraction.
    A plain maximum would hang on one noisy pixel and a plain mean would miss small forgeries.
    Returns a value in [0, 1]. Raises ValueError for an empty map. The rule is ours.
    """
    flat = _flat(probabilities)
    count = max(1, round(flat.size * top_fraction))
    top = flat if count == flat.size else np.partition(flat, flat.size - count)[-count:]
    return float(np.clip(top.mean(dtype=np.float64), 0.0, 1.0))


def area_score(probabilities: FloatMap, *, cutoff: float) -> float:
    """How much of the photograph is suspect, weighted by how suspect: the root of sum(p where p >= cutoff) / pixels.

    That sum is the area above the cut-off times the mean probability there. The root turns an area into a side, so
    that small forgeries do not all end just above 0; it changes no ranking. Returns a value in [0, 1].
    """
    flat = _flat(probabilities)
    # the cut-off in the map's own precision, as in ``tampered_areas``
    weight = flat.sum(where=flat >= np.float32(cutoff), dtype=np.float64) / flat.size
    return math.sqrt(min(max(float(weight), 0.0), 1.0))


def peak_score(probabilities: FloatMap, *, window: int) -> float:
    """The highest mean over any square of ``window`` pixels inside the photograph: a region, not a speck.

    A window larger than the photograph is cut to its sides. Returns a value in [0, 1].
    """
    _flat(probabilities)
    height, width = min(window, probabilities.shape[0]), min(window, probabilities.shape[1])
    sums = np.zeros((probabilities.shape[0] + 1, probabilities.shape[1] + 1))
    np.cumsum(probabilities, axis=0, dtype=np.float64, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    boxes = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    return float(np.clip(boxes.max() / (height * width), 0.0, 1.0))


def tampered_areas(probabilities: FloatMap) -> tuple[float, ...]:
    """Fraction of pixels with p >= each of ``AREA_CUTOFFS``: sixteen values, never increasing.

    ``probabilities`` is (H, W) in [0, 1]. Raises ValueError for an empty map.
    """
    flat = np.sort(_flat(probabilities))
    # the cut-offs in the map's own precision: a float32 0.35 has to count as reaching 0.35
    below = np.searchsorted(flat, np.asarray(AREA_CUTOFFS, dtype=np.float32), side="left")
    return tuple(float(flat.size - int(count)) / flat.size for count in below)


def _flat(probabilities: FloatMap) -> FloatMap:
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(f"a probability map is (H, W) and not empty, got shape {probabilities.shape}")
    return np.ascontiguousarray(probabilities, dtype=np.float32).ravel()


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def to_heatmap(probabilities: FloatMap) -> NDArray[np.uint8]:
    """(H, W) in [0, 1] to uint8 on the fixed scale 255 = probability 1; never stretched to its own maximum."""
    heatmap: NDArray[np.uint8] = np.rint(np.clip(probabilities, 0.0, 1.0) * 255.0).astype(np.uint8)
    return heatmap
