"""What a training run is made of: one description, read from YAML or JSON, printed and stored in every checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ConfigInvalid
from ncl_model.losses.objective import LossConfig
from ncl_model.training.fields import check_fields, check_known, choice, number, switch, text, whole
from ncl_model.training.recipe_text import read_mapping

#: the ready recipes, one file each
RECIPES = Path(__file__).parent / "recipes"
#: fields by their former names, which recipes and the provenance of weights may still have
FORMER_NAMES = {
    "batch": "batch_size",
    "accumulate": "grad_accum_steps",
    "size": "crop_size",
    "clip_norm": "max_grad_norm",
    "average": "ema_decay",
    "held_out": "val_fraction",
}
#: length of a run that says neither minutes nor steps
_MINUTES = 60.0

#: a network small enough for two CPU cores
_SMALL_NETWORK = NclConfig(
    backbone="resnet18",
    width=48,
    output_stride=16,
    stem="deep",
    residual="srm",
    aspp_channels=128,
    decoder_channels=96,
    geometry="fit",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run. The defaults are for a small network on a CPU [ours]; ``recipes/`` has named ones.

    A value that is not allowed raises ConfigInvalid, which names the field and what is.
    """

    #: short name, written into the weights
    name: str = text("small")
    network: NclConfig = field(default_factory=lambda: _SMALL_NETWORK)
    loss: LossConfig = field(default_factory=lambda: LossConfig(mu=0.08, contrast="none"))
    seed: int = whole(4, 0, 2**31)

    # how long
    #: wall time of training in minutes, or optimizer steps: one of the two; the learning rate follows it
    minutes: float | None = number(None, 1e-4)
    steps: int | None = whole(None, 1)

    # one step
    #: samples of an optimizer step, over all workers
    batch_size: int = whole(16, 2, 65536)
    #: parts a worker's share of the batch goes through the network in, one after the other, to save memory
    grad_accum_steps: int = whole(1, 1, 1024)
    #: "crop": native pixels around the tampering; "resize": the whole image, bilinear (paper)
    framing: Literal["crop", "resize"] = choice("crop", "crop", "resize")
    #: side of a training square in pixels, a multiple of 32
    crop_size: int = whole(256, 64, 8192)
    #: arithmetic of the network; the loss is float32 always; "auto": bfloat16 where the processor multiplies it in
    #: hardware, else float32; float16 needs a CUDA device
    precision: Literal["auto", "float32", "bfloat16", "float16"] = choice(
        "auto", "auto", "float32", "bfloat16", "float16"
    )
    #: torch.compile the network: minutes at the start, faster steps on a GPU
    compile: bool = switch(False)

    # optimization
    optimizer: Literal["adamw", "sgd"] = choice("adamw", "adamw", "sgd")
    learning_rate: float = number(1e-3, 1e-9, 10)
    #: the learning rate of pyramid, decoder and pivot is this many times as large
    head_factor: float = number(1.0, 1e-3, 1000)
    #: of SGD
    momentum: float = number(0.9, 0, 0.999)
    #: of kernels; biases and batch norm are left free
    weight_decay: float = number(0.02, 0, 1)
    #: gradients are scaled down to this norm
    max_grad_norm: float = number(5.0, 1e-6)
    #: "cosine": down to a hundredth; "poly": down to nothing as (1 - progress) ** poly_power
    schedule: Literal["cosine", "poly"] = choice("cosine", "cosine", "poly")
    poly_power: float = number(0.9, 0.1, 10)
    #: steps over which the learning rate grows from nothing
    warmup_steps: int = whole(100, 0)
    #: decay of the exponential moving average of the weights, which is what is saved
    ema_decay: float = number(0.998, 0, 0.999999)
    #: batch norm over the images of all workers, and not of each alone
    sync_batch_norm: bool = switch(True)

    # samples
    #: shares of a batch: photographs tampered by people, and by program; the rest is authentic
    people: float = number(0.40, 0, 1)
    synthetic: float = number(0.45, 0, 1)
    #: share of photographs seen as a whole: those that people call tampered with, nobody knows where, which are learnt
    #: from by their label alone, and as many authentic ones
    weak: float = number(0.0, 0, 1)
    #: probability that a photograph is laundered: cropped, resized, filtered and saved once more (``data.laundering``)
    laundered: float = number(0.75, 0, 1)
    #: share of the batches that the expert of pixels sees at half size, as it sees large photographs (``halved_above``)
    halved: float = number(0.0, 0, 1)
    #: share of the groups kept for validation
    val_fraction: float = number(0.15, 0, 0.9)
    #: draws those groups; None: as ``seed``. A run that goes on from another one's weights takes a new ``seed``, for
    #: samples that were not drawn before, and the other's ``split_seed``, so that what was held out stays so
    split_seed: int | None = whole(None, 0, 2**31)

    # cadence
    #: minutes between saved states, and between validations
    save_minutes: float = number(3.0, 0)
    validate_minutes: float = number(12.0, 0)
    #: seconds of training between two lines of the log
    log_s: float = number(20.0, 0)

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            object.__setattr__(self, "minutes", _MINUTES)
        check_fields(self)
        if self.minutes is not None and self.steps is not None:
            raise ConfigInvalid("steps", "a run has minutes or steps, not both")
        if self.crop_size % 32:
            raise ConfigInvalid("crop_size", f"{self.crop_size} is not a multiple of 32")
        if self.people + self.synthetic + self.weak > 1 + 1e-9:
            raise ConfigInvalid("people", "people, synthetic and weak are shares that add up to at most 1")
        if self.halved and self.network.architecture != "experts":
            raise ConfigInvalid("halved", "only the architecture 'experts' can see squares at half size")
        if self.batch_size % self.grad_accum_steps:
            raise ConfigInvalid(
                "grad_accum_steps", f"{self.grad_accum_steps} does not divide the batch_size of {self.batch_size}"
            )

    @property
    def split(self) -> int:
        """The seed that draws the held-out groups."""
        return self.seed if self.split_seed is None else self.split_seed

    def with_budget(self, *, minutes: float | None = None, steps: int | None = None) -> Self:
        """The same run with another length; both None: as it is."""
        if minutes is None and steps is None:
            return self
        return dataclasses.replace(self, minutes=minutes, steps=steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**plain, "network": self.network.to_dict(), "loss": self.loss.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote, now or when fields had their former names; absent ones take their default.

        Raises ConfigInvalid.
        """
        given = with_current_names(values)
        check_known(given, [f.name for f in dataclasses.fields(cls)])
        if "network" in given:
            given["network"] = _section("network", given["network"], NclConfig)
        if "loss" in given:
            given["loss"] = _section("loss", given["loss"], LossConfig)
        return cls(**given)

    @classmethod
    def load(cls, name: str | Path) -> Self:
        """A ready recipe by its name, or a YAML or JSON file by its path.

        Raises ConfigInvalid, which names the file, the field and what is allowed.
        """
        path = RECIPES / f"{name}.yaml" if str(name) in ready_recipes() else Path(name)
        if not path.is_file():
            raise ConfigInvalid("config", f"no recipe file {path}; ready ones are {', '.join(ready_recipes())}")
        values = read_mapping(path)
        try:
            return cls.from_dict(values)
        except ConfigInvalid as error:
            raise ConfigInvalid(error.field, f"{error.reason} (in {path})") from error


def with_current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values, with today's names for those that had others. Raises ConfigInvalid for one that has both."""
    for former, name in FORMER_NAMES.items():
        if former in values and name in values:
            raise ConfigInvalid(name, f"it is there as {former!r}, too, its former name; leave one of the two out")
    return {FORMER_NAMES.get(name, name): value for name, value in values.items()}


def ready_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _section(name: str, values: object, kind: Any) -> Any:
    """A part of the recipe that is an object of its own; its errors get the part's name before the field's."""
    if not isinstance(values, Mapping):
        raise ConfigInvalid(name, "must be a mapping of names to values")
    try:
        check_known(values, [f.name for f in dataclasses.fields(kind)])
        return kind(**values)
    except ConfigInvalid as error:
        raise ConfigInvalid(f"{name}.{error.field}", error.reason) from error
