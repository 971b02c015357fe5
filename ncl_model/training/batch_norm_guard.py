"""Batch-norm statistics outlive a step that went wrong. The forward pass has already changed them by then."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BatchNormGuard:
    """Remembers a module's floating buffers before a step, and puts them back if the step was no good.

    Nothing here waits for a GPU: the choice is made there.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._before: Tensor | None = None

    def remember(self) -> None:
        """Before the forward pass."""
        buffers = self._buffers()
        self._before = torch.cat([b.flatten() for b in buffers]) if buffers else None

    @torch.no_grad()
    def undo_unless(self, good: Tensor) -> None:
        """``good`` is a 0-d bool tensor; where it is False the buffers become what they were."""
        if self._before is None:
            return
        buffers = self._buffers()
        kept = torch.where(good, torch.cat([b.flatten() for b in buffers]), self._before)
        pieces = torch.split(kept, [b.numel() for b in buffers])
        torch._foreach_copy_(buffers, [piece.view_as(b) for piece, b in zip(pieces, buffers, strict=True)])

    def _buffers(self) -> list[Tensor]:
        # batch norm's alone: other buffers are constants of the code
        return [
            buffer
            for module in self._module.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            for buffer in (module.running_mean, module.running_var)
            if buffer is not None
        ]
