"""From a training run's weights to a file to ship, and what the calibration in such a file promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.domain import Fingerprint
from ncl_model.errors import CalibrationMissing, CalibrationTooCoarse, ConfigInvalid
from nclscreen.catalog import InstalledModel
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from ncl_model.release_request import Released, ReleaseRequest

#: told (done, total, name of the step) as often as there is news
Progress = Callable[[int, int, str], None]
#: rates of false alarms that people ask for
RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def release_weights(request: ReleaseRequest, progress: Progress) -> Released:
    """Choose score rule and logit shift, calibrate, write the file; as `ncl_model.release.release_run`.

    Raises InvalidRequest for a rule that is none, and the errors of weights and sources.
    """
    from ncl_model.release import release_run

    try:
        return release_run(request, progress)
    except ConfigInvalid as error:
        if error.field != "score_rule":
            raise
        raise InvalidRequest("rule", error.reason) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationView:
    """What some weights promise about false alarms on authentic photographs."""

    name: str
    fingerprint: Fingerprint
    #: from which score images are flagged unless told otherwise
    threshold: float
    #: authentic photographs that none of it was trained on
    photographs: int
    #: by the set they are of
    sources: dict[str, int]
    #: the score rule it holds for
    rule: str
    #: it holds for photographs in other states, too
    resaved: bool
    #: the smallest rate that can be promised
    least_rate: float
    #: rates that were asked for, each with its threshold; those that cannot be promised are left out
    policies: list[dict[str, Any]]
    #: rates that cannot be promised, each with the reason
    refused: dict[str, str]

    @property
    def states(self) -> str:
        """Which states these are, in words."""
        from ncl_model.inference.calibration import states_in_words

        return states_in_words(self.rule, resaved=self.resaved)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def calibration_view(wiring: Wiring, weights: Path | None, rates: Sequence[float]) -> CalibrationView:
    """The calibration of these weights, or of the installation's.

    Raises CalibrationMissing, CalibrationInvalid, InvalidRequest, and the errors of a file that is no weights.
    """
    settings = wiring.settings
    model = wiring.model if weights is None else InstalledModel(weights, settings.precision, None)
    if any(not 0 < rate <= 1 for rate in rates):
        raise InvalidRequest("max_fpr", "a rate of false alarms is above 0 and at most 1")
    calibration = model.calibration
    if calibration is None:
        raise CalibrationMissing(model.weights)
    policies: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for rate in rates or RATES:
        try:
            policies.append(calibration.policy(rate).to_dict())
        except CalibrationTooCoarse as error:
            refused[f"{rate:g}"] = str(error)
    return CalibrationView(
        name=model.ref.name,
        fingerprint=model.fingerprint,
        threshold=model.threshold(),
        photographs=calibration.photographs,
        sources=dict(calibration.sources),
        rule=calibration.rule,
        resaved=calibration.resaved,
        least_rate=calibration.least_rate,
        policies=policies,
        refused=refused,
    )
