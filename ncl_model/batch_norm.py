"""Batch norm over the images of all workers, on CPUs too, where torch's own SyncBatchNorm refuses to run.

The state has the names and shapes of ``nn.BatchNorm2d``, so weights files do not tell them apart.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn


def synchronize(module: nn.Module, device: torch.device, group: dist.ProcessGroup) -> nn.Module:
    """Replace every BatchNorm2d below ``module``: by torch's SyncBatchNorm on a GPU, by ``SyncedBatchNorm`` else."""
    if device.type == "cuda":
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module, group)  # type: ignore[no-untyped-call]
        return synced
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SyncedBatchNorm.replacing(child, group))
        else:
            synchronize(child, device, group)
    return module


class SyncedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d whose mean and variance run over the batches of all workers.

    Every worker of the group must call it, also with no values: (0, C, H, W). In evaluation mode it is a
    BatchNorm2d.
    """

    group: dist.ProcessGroup

    @classmethod
    def replacing(cls, norm: nn.BatchNorm2d, group: dist.ProcessGroup) -> SyncedBatchNorm:
        """The same parameters and statistics, not copies of them."""
        synced = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        synced.weight, synced.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            setattr(synced, name, buffer)
        synced.group = group
        return synced.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values, mean, variance, count = _Normalize.apply(x, self.weight, self.bias, self.eps, self.group)  # type: ignore[no-untyped-call]
        self._remember(mean, variance, count)
        return cast(Tensor, values)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        unbiased = variance * count / (count - 1).clamp_min(1)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased, momentum)


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the statistics of all workers."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: dist.ProcessGroup
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values = x.float()
        mean, variance, count = _statistics(values, group)
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, scale, count)
        ctx.group = group
        normalized = torch.addcmul(
            _wide(bias - mean * scale * weight), values, _wide(scale * weight)
        )  # bias + (x - mean) * scale * weight in one pass
        ctx.mark_non_differentiable(mean, variance, count)
        return normalized.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, count = ctx.saved_tensors
        given = gradients[0].float()
        standard = (x.float() - _wide(mean)) * _wide(scale)
        to_bias = given.sum((0, 2, 3))
        to_weight = (given * standard).sum((0, 2, 3))
        sums = torch.stack([to_bias, to_weight])
        # the parameters' own gradients stay this worker's: DDP averages them
        dist.all_reduce(sums, group=ctx.group)
        means = sums / count.clamp_min(1)
        inner = given - _wide(means[0]) - standard * _wide(means[1])
        return (inner * _wide(scale * weight)).to(x.dtype), to_weight, to_bias, None, None


def _statistics(values: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), biased variance (C,) and number of values per channel () over all workers.

    In two passes, since the difference of E[x^2] and E[x]^2 loses all digits when the mean is large.
    """
    channels = values.shape[1]
    mine = values.numel() // channels
    sums = torch.cat([values.sum((0, 2, 3)), values.new_tensor([float(mine)])])
    dist.all_reduce(sums, group=group)
    count = sums[-1]
    mean = sums[:-1] / count.clamp_min(1)
    squares = (values - _wide(mean)).square().sum((0, 2, 3))
    dist.all_reduce(squares, group=group)
    return mean, squares / count.clamp_min(1), count


def _wide(vector: Tensor) -> Tensor:
    return vector.view(1, -1, 1, 1)
