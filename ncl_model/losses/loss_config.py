"""What the loss of a run is made of: weights, arms and limits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ncl_model.errors import ConfigInvalid


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights and arms of the loss; the defaults are NCL.md's starting values [ours, except mu's use]."""

    #: share of the contour term in L_PC; 0 is plain BCE. The paper found larger better
    mu: float = 0.8
    #: temperature of the contrast
    tau: float = 0.1
    #: weight of L_NCL once warm; aim for omega * L_NCL at 10-40 % of L_PC
    omega: float = 0.1
    #: optimizer steps over which omega grows linearly from 0
    warmup_steps: int = 1000
    #: side of a patch in pixels: 4, 8 or 16
    patch: int = 4
    #: patches of a kind that take part, per image
    tampered_patches: int = 256
    authentic_patches: int = 1024
    #: arms of the ablation: no contrast, tampered against authentic alone, or the contour through the pivot
    contrast: Literal["none", "classes", "pivot"] = "pivot"
    #: supervised decoder stages: the paper's four, or the last alone
    stages: Literal["all", "last"] = "all"
    #: channels that features are projected to before they are compared; 0: not at all (paper)
    projection: int = 0
    #: whether the mean over the image is taken off before the cosine; the paper does not
    centred: bool = False
    #: weight of the image head's binary cross-entropy
    image_weight: float = 0.2
    #: of photographs that are tampered with nobody knows where: weight of their label, and of two views' agreement,
    #: which grows over so many optimizer steps
    label_weight: float = 0.1
    consistency_weight: float = 1.0
    consistency_steps: int = 500

    def __post_init__(self) -> None:
        weights = [(field, 0, 100) for field in ("omega", "image_weight", "label_weight", "consistency_weight")]
        for field, low, high in (("mu", 0, 1), *weights, ("tau", 1e-3, 10)):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigInvalid(field, f"{value!r} is not a number from {low} to {high}")
        steps = [("warmup_steps", 0), ("consistency_steps", 0)]
        for field, low in (*steps, ("tampered_patches", 4), ("authentic_patches", 4), ("projection", 0)):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigInvalid(field, f"{value!r} is not a whole number from {low} on")
        choices = {"patch": (4, 8, 16), "contrast": ("none", "classes", "pivot"), "stages": ("all", "last")}
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                raise ConfigInvalid(field, f"{getattr(self, field)!r} is not one of {', '.join(map(str, allowed))}")

        if not isinstance(self.centred, bool):
            raise ConfigInvalid("centred", f"{self.centred!r} is not true or false")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, one key per field."""
        return dataclasses.asdict(self)
