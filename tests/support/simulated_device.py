"""A device that behaves as accelerators do, simulated on the CPU: networks to put in place of a predictor's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ncl_model.architecture.network import NclOutput
from ncl_model.inference.predictor import Predictor

#: what CUDA says to whatever is asked of it once a kernel went wrong
DEAD = "CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA`"


class SimulatedDevice:
    """Called as a network. Its arithmetic depends on the size of the batch, as that of GPUs does."""

    def __init__(self, network: Callable[..., NclOutput]) -> None:
        self._network = network
        #: images of each forward pass
        self.batches: list[int] = []
        #: images that fit into its memory
        self.room = 1000
        #: nothing works any more
        self.dead = False
        #: canvases of this mean kill it, or fail by themselves
        self.kills: float | None = None
        self.fails: float | None = None
        #: what each further image of a batch adds to the logits of all
        self.drift = 0.0

    def __call__(self, pixels: torch.Tensor, *given: Any) -> NclOutput:
        self.batches.append(len(pixels))
        means = [round(float(each.float().mean()), 3) for each in pixels]
        self.dead = self.dead or self.kills in means
        if self.dead:
            raise RuntimeError(DEAD)
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if self.fails in means:
            raise RuntimeError("an image that no kernel takes")
        output = self._network(pixels, *given)
        return output._replace(logits=tuple(each + self.drift * len(pixels) for each in output.logits))


def on_simulated_device(predictor: Predictor, *, batch: int = 4) -> SimulatedDevice:
    """Have this predictor compute there, so many images at a time."""
    device = SimulatedDevice(predictor._network)
    predictor._network = device  # type: ignore[assignment]
    predictor._step = batch
    return device
