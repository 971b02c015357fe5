"""The device a network runs on: by its name, its arithmetic, and how it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ncl_model.errors import ConfigInvalid

#: images of one forward pass on an accelerator, always: kernels are chosen by the shape of a batch, and a score must
#: not depend on how many batchmates an image has
ACCELERATOR_BATCH = 4


def device_named(name: str) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1`` and so on. Raises ConfigInvalid when torch cannot compute there."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigInvalid("device", f"torch cannot compute on {name!r} here ({reason}); take cpu") from error
    return device


def batch_on(device: torch.device) -> int:
    """Images of one forward pass there."""
    return 1 if device.type == "cpu" else ACCELERATOR_BATCH


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Inside, the same batch gives the same bits every time, and float32 is float32, not TF32 with its 10 bits.

    Without this, convolutions on GPUs of NVIDIA's are done in TF32, by whichever kernel was quickest the first time.
    The settings are the process's own, and are put back. On a CPU nothing is to be done.
    """
    if device.type == "cpu":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a forward pass failed for want of memory: with fewer images it may do."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


#: how libraries beneath torch say so
_OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "can't allocate memory")


def release_memory(device: torch.device) -> None:
    """Give back what torch keeps for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
