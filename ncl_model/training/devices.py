"""Where a run computes, and how it is set up there."""

from __future__ import annotations

import os

import torch

from ncl_model.errors import ConfigInvalid
from ncl_model.inference.processor import has_fast_bfloat16
from ncl_model.training.recipe import TrainConfig

DEVICES = ("auto", "cpu", "cuda")
#: worker processes that prepare batches for a GPU, at most
_MOST_LOADERS = 16


def pick_device(name: str) -> torch.device:
    """``auto`` takes the GPU if there is one. Raises ConfigInvalid when the device is not there."""
    if name not in DEVICES:
        raise ConfigInvalid("device", f"{name!r} is not one of {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigInvalid("device", "this machine has no CUDA device that torch can use; take cpu or auto")
    cuda = name != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")


def check_precision(recipe: TrainConfig, device: torch.device) -> None:
    """Raises ConfigInvalid when the device cannot compute as the recipe says."""
    if recipe.precision == "float16" and device.type != "cuda":
        raise ConfigInvalid("precision", "float16 needs a CUDA device; on a CPU take bfloat16 or float32")
    if recipe.precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigInvalid("precision", "this GPU has no bfloat16; take float16")


def precision_on(recipe: TrainConfig, device: torch.device) -> str:
    """The recipe's arithmetic, with ``auto`` decided by what the device computes quickly."""
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "bfloat16" if has_fast_bfloat16() else "float32"


def tune(device: torch.device) -> None:
    """TF32 and the fastest convolutions: all batches have one shape."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True


def default_loaders(device: torch.device) -> int:
    """Worker processes that prepare batches: none for a CPU, which is busy already, else what the machine has."""
    if device.type != "cuda":
        return 0
    return max(1, min(_MOST_LOADERS, len(os.sched_getaffinity(0)) - 1))


def describe(device: torch.device) -> str:
    """For the log."""
    if device.type != "cuda":
        return f"cpu, {torch.get_num_threads()} threads"
    return torch.cuda.get_device_name(device)
