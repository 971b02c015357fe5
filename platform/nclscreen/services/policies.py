"""From which score on an image is flagged: a threshold as a number, or as a promise about false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nclscreen.catalog import InstalledModel
from nclscreen.services import checks
from nclscreen.services.errors import InvalidRequest

if TYPE_CHECKING:  # the model brings torch along, which takes seconds to load
    from ncl_model.inference.calibration import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagRule:
    """What decides whether an image of a job is flagged."""

    #: score from which it is
    threshold: float
    #: where the threshold follows from a rate of false alarms
    policy: Policy | None

    @property
    def policy_document(self) -> dict[str, Any] | None:
        """As JSON types."""
        return policy_document(self.policy)


def flag_rule(model: InstalledModel, threshold: float | None, max_fpr: float | None) -> FlagRule:
    """The rule for what was asked for, else as the settings or the model say.

    Raises InvalidRequest, CalibrationMissing, CalibrationTooCoarse.
    """
    checks.within("threshold", threshold, 0, 1)
    checks.within("max_fpr", max_fpr, 0, 1)
    if threshold is not None and max_fpr is not None:
        raise InvalidRequest("max_fpr", "a threshold is given too, and only one of them can count")
    policy = None if max_fpr is None else model.policy(max_fpr)
    return FlagRule(threshold=policy.threshold if policy else model.threshold(threshold), policy=policy)


def heatmaps_from(model: InstalledModel, threshold: float, share: float) -> float | None:
    """The score from which heatmaps are kept: those of flagged images, and of so large a share of authentic ones.

    `share` in [0, 1], of near misses. None where that is the threshold, or the model is not calibrated.
    """
    if share == 0 or model.calibration is None:
        return None
    rate = min(1.0, model.calibration.rate(threshold) + share)
    near = model.calibration.suggested(rate)
    return near if near < threshold else None


def policy_document(policy: Policy | None) -> dict[str, Any] | None:
    """As JSON types."""
    return None if policy is None else policy.to_dict()
