"""The model of this installation: which version it is, and from which score on it flags."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jobs.domain import Fingerprint, ModelRef

if TYPE_CHECKING:  # the model brings torch along, which takes seconds to load: commands that only look do without
    from ncl_model.inference.calibration import Calibration, Policy
    from ncl_model.inference.checkpoint import Checkpoint
    from ncl_model.inference.predictor import Predictor


class InstalledModel:
    """What the settings name: weights, arithmetic, and perhaps a threshold. Read on first use."""

    def __init__(
        self,
        weights: Path | None,
        precision: Literal["float32", "bfloat16"],
        threshold: float | None = None,
        *,
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        """`weights`: None for those in the package; `threshold`: what the operator wants, in [0, 1].

        `device`: what its replicas compute on.
        """
        self._device = device
        self._weights = weights
        self._threshold = threshold
        self.precision = precision

    @property
    def weights(self) -> Path:
        """The file that holds them."""
        from ncl_model.inference.checkpoint import shipped_weights

        return self._weights or shipped_weights()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What the file holds. Raises the errors of `ncl_model.inference.checkpoint.load_checkpoint`."""
        from ncl_model.inference.checkpoint import load_checkpoint

        return load_checkpoint(self.weights)

    @cached_property
    def ref(self) -> ModelRef:
        """What jobs are pinned to."""
        return ModelRef(
            name=f"{self.checkpoint.name} {self.checkpoint.version}",
            fingerprint=Fingerprint(self.checkpoint.fingerprint(self.precision, self._device)),
        )

    @property
    def fingerprint(self) -> Fingerprint:
        return self.ref.fingerprint

    def predictor(self) -> Predictor:
        """The network, in this process."""
        from ncl_model.inference.predictor import Predictor

        return Predictor.setup(self.weights, self.precision)

    def threshold(self, asked: float | None = None) -> float:
        """The score from which images are flagged: as asked, else as set, else as the model suggests."""
        from ncl_model.inference.calibration import default_threshold

        for value in (asked, self._threshold):
            if value is not None:
                return float(value)
        return default_threshold(self.checkpoint.metrics)

    @cached_property
    def calibration(self) -> Calibration | None:
        """Which scores authentic photographs reach; None when the weights do not say. Raises CalibrationInvalid."""
        from ncl_model.inference.calibration import Calibration

        return Calibration.from_dict(self.checkpoint.calibration) if self.checkpoint.calibration else None

    def policy(self, max_fpr: float) -> Policy:
        """The threshold for at most this share of false alarms.

        Raises CalibrationMissing, or CalibrationTooCoarse for a rate too small to be promised.
        """
        from ncl_model.errors import CalibrationMissing

        if self.calibration is None:
            raise CalibrationMissing(self.weights)
        return self.calibration.policy(max_fpr)
