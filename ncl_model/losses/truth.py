"""What the loss of a batch is held against: masks, where they are known, and labels of whole images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ncl_model.truth_maps import TAMPERED, UNKNOWN

#: of an image of which nobody knows
NO_LABEL = -1


class Truth(NamedTuple):
    """B images, of which the last V are second, mirrored views of others."""

    mask: Tensor  #: (B, 1, H, W) in {0, 1}, 1 = tampered; 0 where it is not known
    known: Tensor  #: (B, 1, H, W) in {0, 1}
    labels: Tensor  #: (B,) 1: something is tampered, 0: nothing is, ``NO_LABEL``
    views: Tensor  #: (V,) int64: which image each of the last V is a second view of

    @classmethod
    def everywhere(cls, mask: Tensor) -> Truth:
        """All pixels are known, and there are no second views."""
        views = torch.zeros(0, dtype=torch.int64, device=mask.device)
        return cls(mask, torch.ones_like(mask), mask.flatten(1).amax(1), views)

    @classmethod
    def of_maps(cls, maps: Tensor, labels: Tensor, views: Tensor) -> Truth:
        """``maps`` (B, 1, H, W) uint8, see ``truth_maps``; ``labels`` (B,) and ``views`` (V,) as here."""
        return cls((maps == TAMPERED).float(), (maps != UNKNOWN).float(), labels.float(), views)

    @property
    def labelled_alone(self) -> Tensor:
        """(B,) bool: images that are tampered with, nobody knows where."""
        return (self.known.flatten(1).amax(1) == 0) & (self.labels == 1)
