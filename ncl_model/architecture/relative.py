"""Features relative to the rest of their image: a forgery is what differs from it. Shapes: B, C, h, w cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: (height, width) in pixels of each image of a batch without its padding; None: everything is photograph
Sizes = Sequence[tuple[int, int]] | None

#: keeps flat images finite
_EPSILON = 1e-3
#: scores beyond this many spreads say no more
_CLIP = 5.0


class Relative(nn.Module):
    """(B, C, h, w) to (B, 2C, h, w): the features, and their standard scores within their image.

    Decisions relative to one image generalise better than absolute ones [ours; self-consistency (ECCV 2018) and FOCAL
    (arXiv 2308.09307) rest on the same].
    """

    def __init__(self, stride: int) -> None:
        """``stride``: pixels per cell."""
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor, sizes: Sizes = None) -> Tensor:
        """``sizes`` in pixels; what is padding gets a score, but does not count in mean and spread."""
        return torch.cat([x, standard_scores(x, valid_cells(sizes, self.stride)).to(x.dtype)], dim=1)


def valid_cells(sizes: Sizes, stride: int) -> Sizes:
    """(rows, columns) of each image that are photograph, in cells of ``stride`` pixels."""
    return None if sizes is None else [(-(-height // stride), -(-width // stride)) for height, width in sizes]


def standard_scores(x: Tensor, cells: Sizes = None) -> Tensor:
    """(B, C, h, w) float32: (x - mean) / spread of each channel over the image's valid cells, clipped to +-5."""
    values = x.float()
    if cells is None:
        spread, mean = torch.std_mean(values, dim=(2, 3), keepdim=True, correction=0)
    else:
        valid = [values[i : i + 1, :, :rows, :columns] for i, (rows, columns) in enumerate(cells)]
        parts = [torch.std_mean(part, dim=(2, 3), keepdim=True, correction=0) for part in valid]
        spread, mean = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    return ((values - mean) / (spread + _EPSILON)).clamp(-_CLIP, _CLIP)
