"""The pivot network: one image's contour patches become two vectors, one for each role a contour can take.

Zhou et al., ICCV 2023, section 3.3. Training only; inference never runs it.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pivots(NamedTuple):
    """The two roles, for every image: (B, C) each; zeros where an image has no contour patch."""

    tampered: Tensor  #: se+(p), stands with the tampered patches
    authentic: Tensor  #: se-(p), stands with the authentic patches


class PivotNetwork(nn.Module):
    """Two branches of one structure, Conv 1x1 -> BN -> ReLU per contour patch, then the mean over the patches.

    The branches are the paper's; k varies from image to image, so the 1x1 convolution runs per patch and
    the mean brings k down to one vector [ours, NCL.md].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tampered = _branch(channels)
        self.authentic = _branch(channels)

    def forward(self, features: Tensor, contour: Tensor) -> Pivots:
        """``features`` (B, C, h, w) and ``contour`` (B, h, w) bool, to ``Pivots``."""
        image, row, column = contour.nonzero(as_tuple=True)
        cells = features[image, :, row, column]
        return Pivots(*(_mean_by_image(_run(b, cells), image, len(features)) for b in (self.tampered, self.authentic)))


def _branch(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _run(branch: nn.Sequential, cells: Tensor) -> Tensor:
    """(K, C) to (K, C); batch norm sees every contour patch of the batch.

    A batch with fewer than two contour patches has nothing to normalise by, unless the batch norm runs over several
    workers: then this one takes part even without any patch, or the others would wait for it for ever.
    """
    convolution, norm, relu = branch
    # the 1x1 convolution as a product of matrices, which also takes no rows at all
    weight = cast(nn.Conv2d, convolution).weight
    rows = F.linear(cells, weight.flatten(1))
    if type(norm) is nn.BatchNorm2d and len(rows) < 2:
        return rows * 0.0
    result: Tensor = relu(norm(rows[:, :, None, None])).flatten(1)
    return result


def _mean_by_image(rows: Tensor, image: Tensor, images: int) -> Tensor:
    sums = rows.new_zeros(images, rows.shape[1]).index_add(0, image, rows)
    counts = torch.bincount(image, minlength=images).clamp_min(1)
    return sums / counts.unsqueeze(1)
