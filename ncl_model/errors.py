"""Errors of the model layer: one base class, each error carries its data, also across process borders."""

from __future__ import annotations

from typing import Literal

from ncl_model.picklable import PicklableError

ImageErrorCode = Literal["empty", "unsupported_format", "corrupt", "too_large"]


class NclModelError(PicklableError):
    """Base of every error raised on purpose by ``ncl_model``."""


class ConfigInvalid(NclModelError, ValueError):
    """A configuration field has a value the network or the predictor cannot honour."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"config field {field!r}: {reason}")


class TrainingDiverged(NclModelError):
    """Loss or gradients were not finite for many steps in a row; going on would be of no use."""

    def __init__(self, in_a_row: int, skipped: int) -> None:
        self.in_a_row = in_a_row
        self.skipped = skipped
        super().__init__(
            f"the gradients were not finite in {in_a_row} steps in a row ({skipped} of the whole run); the last saved "
            "state is from before that. Lower learning_rate or max_grad_norm, or take float32, and start again"
        )


class TrainingFailed(NclModelError):
    """The workers of a run died again and again; what they said last is in the message."""


class CheckpointError(NclModelError):
    """A weights file cannot be used; ``path`` names it, the message says what to do."""

    def __init__(self, path: object, problem: str, remedy: str) -> None:
        self.path = str(path)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.path}: {problem}. {remedy}")


class CheckpointMissing(CheckpointError, FileNotFoundError):
    """There is no file at that path."""


class CheckpointCorrupt(CheckpointError):
    """The file is not a complete safetensors file of this project."""


class CheckpointMismatch(CheckpointError):
    """The file's tensors do not fit the network its config describes."""


class ImageUnreadable(NclModelError):
    """These bytes do not give a picture; ``code`` is one of the image error codes of the design."""

    def __init__(self, code: ImageErrorCode, message: str) -> None:
        self.code: ImageErrorCode = code
        super().__init__(message)


class DatasetInvalid(NclModelError):
    """A data folder or its index.csv cannot be read as a dataset."""


class OutputUnwritable(NclModelError):
    """The folder or file for results cannot be written."""

    def __init__(self, path: object, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{self.path}: cannot write the results ({reason}); name another place, or make room")


class FolderInUse(NclModelError):
    """Another process writes into the folder at this moment."""

    def __init__(self, path: object) -> None:
        self.path = str(path)
        super().__init__(
            f"{self.path}: another run is at work in this folder; wait for its end or stop it, or name another folder"
        )


class CalibrationError(NclModelError):
    """A false-positive rate was asked of a model that cannot promise it."""


class CalibrationMissing(CalibrationError):
    """The weights say nothing about false positives."""

    def __init__(self, path: object) -> None:
        self.path = str(path)
        remedy = "give --threshold, or fit one with `python -m ncl_model.release`"
        super().__init__(
            f"{self.path}: these weights carry no calibration, so no false-positive rate can be asked; {remedy}"
        )


class CalibrationInvalid(CalibrationError):
    """The calibration in a weights file cannot be read."""


class CalibrationTooCoarse(CalibrationError):
    """The calibration photographs are too few for so small a rate; ``least`` is the smallest that can be asked."""

    def __init__(self, asked: float, least: float, photographs: int) -> None:
        self.asked = asked
        self.least = least
        self.photographs = photographs
        super().__init__(
            f"a false-positive rate of {asked:g} cannot be promised: the calibration has {photographs} authentic "
            f"photographs, so the least is {least:g}; ask for that or more, or give --threshold"
        )
