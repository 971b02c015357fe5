"""Folded batch norms: the same network but for rounding."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.registry import build_network
from ncl_model.inference.folding import fold_batch_norms

SMALL = {"backbone": "resnet18", "width": 8, "output_stride": 16, "aspp_channels": 8, "decoder_channels": 16}
EXPERTS = {"architecture": "experts", "compression": "dct", "compression_channels": 12, "head": "pooled",
           "residual": "srm", "stem": "deep", "geometry": "fit"}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"backbone": "resnet50"}, EXPERTS], ids=["plain", "bottlenecks", "experts"])
def test_maps_and_heads_stay_the_same(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = build_network(NclConfig(**(SMALL | changes))).train()  # type: ignore[arg-type]
    pixels = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        for _ in range(3):  # statistics of their own, unlike those a batch norm starts with
            network(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
        before = network.eval()(pixels)
        folded = fold_batch_norms(copy.deepcopy(network))
        after = folded(pixels)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    torch.testing.assert_close(after.map_logits(), before.map_logits(), atol=1e-4, rtol=1e-4)
    if before.image is not None:
        torch.testing.assert_close(after.image, before.image, atol=1e-4, rtol=1e-4)


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).train())
