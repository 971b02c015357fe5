"""The workers of one run: one alone, or several that share every batch and agree on every decision."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ncl_model.training.batch_norm import synchronize


class WorkerGroup:
    """One worker alone; what ``DistributedGroup`` does with several."""

    #: this worker's number, from 0, how many share the batch, and how many there are; the last ones look on
    rank: int = 0
    size: int = 1
    present: int = 1

    @property
    def works(self) -> bool:
        """Whether this worker has a share of the batch; else it only takes part in what all agree on."""
        return self.rank < self.size

    @property
    def leads(self) -> bool:
        """Worker 0 decides, writes files and validates."""
        return self.rank == 0

    def agree(self, values: Sequence[float]) -> list[float]:
        """What worker 0 passed, on every worker. Never waits for a GPU."""
        return list(values)

    def share(self, thing: Any) -> Any:
        """What worker 0 passed, on every worker: anything that can be pickled."""
        return thing

    def gather(self, thing: Any) -> list[Any]:
        """What every worker passed, by rank, on each of them, those that look on included."""
        return [thing]

    def average(self, value: Tensor) -> Tensor:
        """The mean of a scalar over the workers that share the batch, on each of them."""
        return value

    def wrap(self, module: nn.Module, *, sync_batch_norm: bool, find_unused: bool) -> nn.Module:
        """The module as it is to be trained; its gradients are then averages over the workers."""
        return module

    def quiet(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Inside, gradients add up on each worker and are not exchanged yet."""
        return nullcontext()


class DistributedGroup(WorkerGroup):
    """The workers of the process group that torch.distributed has set up, by gloo (CPU) or NCCL (GPU)."""

    def __init__(self, device: torch.device, size: int | None = None) -> None:
        """``size``: how many of them share the batch; None: all."""
        self.rank = dist.get_rank()
        self.present = dist.get_world_size()
        self.size = size or self.present
        self._device = device
        # words between hosts go by gloo, so that no step waits for the GPU
        self._words = dist.new_group(backend="gloo")
        # two, as exchanges of DDP overlap with ours in the backward pass
        self._sums, self._gradients = (dist.new_group(list(range(self.size))) for _ in range(2))

    def agree(self, values: Sequence[float]) -> list[float]:
        said = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(said, src=0, group=self._words)
        return [float(value) for value in said]

    def share(self, thing: Any) -> Any:
        things = [thing if self.leads else None]
        dist.broadcast_object_list(things, src=0, group=self._words)
        return things[0]

    def gather(self, thing: Any) -> list[Any]:
        things: list[Any] = [None] * self.present
        dist.all_gather_object(things, thing, group=self._words)
        return things

    def average(self, value: Tensor) -> Tensor:
        if not self.works:
            return value
        total = value.detach().clone()
        dist.all_reduce(total, group=self._sums)
        return total / self.size

    def wrap(self, module: nn.Module, *, sync_batch_norm: bool, find_unused: bool) -> nn.Module:
        if sync_batch_norm:
            module = synchronize(module, self._device, self._sums)
        ids = [self._device] if self._device.type == "cuda" else None
        return DistributedDataParallel(
            module, device_ids=ids, process_group=self._gradients, find_unused_parameters=find_unused
        )

    def quiet(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        if not isinstance(wrapped, DistributedDataParallel):
            return nullcontext()
        context: AbstractContextManager[None] = wrapped.no_sync()
        return context
