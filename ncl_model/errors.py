"""Errors of the model layer: one base class, each error carries its data.

They cross process borders, so each says how to be pickled; the default forgets everything but the message.
"""

from typing import Literal, Self

ImageErrorCode = Literal["empty", "unsupported_format", "corrupt", "too_large"]


class NclModelError(Exception):
    """Base of every error raised on purpose by ``ncl_model``."""


class ConfigInvalid(NclModelError, ValueError):
    """A configuration field has a value the network or the predictor cannot honour."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"config field {field!r}: {reason}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.field, self.reason)


class CheckpointError(NclModelError):
    """A weights file cannot be used; ``path`` names it, the message says what to do."""

    def __init__(self, path: object, problem: str, remedy: str) -> None:
        self.path = str(path)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.path}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (self.path, self.problem, self.remedy)


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

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.code, str(self))


class DatasetInvalid(NclModelError):
    """A data folder or its index.csv cannot be read as a dataset."""
