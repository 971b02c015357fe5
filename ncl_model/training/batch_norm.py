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
        if count < 2:  # nothing to normalise by, on any worker
            return cast(Tensor, values * 0.0)
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
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the statistics of all workers.

    Made of the passes that torch's own batch norm has for CPUs, which are several times as fast as arithmetic on
    whole tensors, and keep float32 inside also where x is bfloat16.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: dist.ProcessGroup
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, variance, count = _statistics(x, weight, bias, eps, group)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.group = eps, group
        ctx.mark_non_differentiable(mean, variance, count)
        return _affine(x, weight, bias, mean, variance, eps), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        given, scale = gradients[0], torch.rsqrt(variance + ctx.eps)
        to_weight, to_bias = torch.zeros_like(mean), torch.zeros_like(mean)
        if x.numel():
            _, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
                given, x, weight, None, None, mean, scale, True, ctx.eps, [False, True, True]
            )
        means = torch.stack([to_weight, to_bias])
        # the parameters' own gradients stay this worker's: DDP averages them
        dist.all_reduce(means, group=ctx.group)
        means /= count.clamp_min(1)
        to_x = torch.zeros_like(x)
        if x.numel():
            # weight * scale * (given - mean of given - standardised x * mean of (given * standardised x))
            to_x, _, _ = torch.ops.aten.native_batch_norm_backward(
                given, x, weight, mean, variance, None, None, False, ctx.eps, [True, False, False]
            )
            factor = -weight * scale
            to_x = to_x + _affine(x, factor * means[0], factor * means[1], mean, variance, ctx.eps)
        return to_x, to_weight, to_bias, None, None


def _affine(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias, in one pass."""
    if not x.numel():
        return x.clone()
    values: Tensor = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]
    return values


def _statistics(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: dist.ProcessGroup
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), biased variance (C,) and number of values per channel () over all workers, float32.

    From each worker's own mean and variance; sums of squares would lose all digits where the mean is large.
    """
    mine = float(x.numel() // x.shape[1])
    mean, variance = torch.zeros_like(weight), torch.zeros_like(weight)
    if mine:
        _, mean, scale = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        variance = (scale.square().reciprocal() - eps).clamp_min(0)
    sums = torch.cat([mean * mine, mean.new_tensor([mine])])
    dist.all_reduce(sums, group=group)
    count = sums[-1]
    common = sums[:-1] / count.clamp_min(1)
    spread = (variance + (mean - common).square()) * mine
    dist.all_reduce(spread, group=group)
    return common, spread / count.clamp_min(1), count
