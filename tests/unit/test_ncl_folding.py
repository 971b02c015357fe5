"""Folded batch norms: the same network, and the same verdicts, but for rounding."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from copied_photos import copied, photograph
from torch import nn

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.registry import build_network
from ncl_model.imaging.encoding import jpeg_file
from ncl_model.inference import predictor as predicting
from ncl_model.inference.folding import fold_batch_norms
from ncl_model.inference.predictor import Predictor

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


def test_verdicts_of_the_shipped_weights_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    folded, unfolded = Predictor.setup(None), []
    monkeypatch.setattr(predicting, "fold_batch_norms", lambda network: unfolded.append(network) or network)
    plain = Predictor.setup(None)
    assert any(isinstance(module, nn.BatchNorm2d) for module in unfolded[0].modules())
    threshold = folded.checkpoint.metrics["suggested_threshold"]["fpr_0.05"]
    flags = set()
    for photo in (photograph("rocket", 448), photograph("camera", 768), copied(photograph("coffee", 448)).photo):
        data = jpeg_file(np.asarray(photo), 90)
        one, other = (model.localize([model.decode(data)])[0] for model in (folded, plain))
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert np.abs(one.heatmap.astype(int) - other.heatmap).max() <= 1
        assert (one.score >= threshold) == (other.score >= threshold)
        assert one.evidence is not None
        assert other.evidence is not None
        assert one.evidence.scores == pytest.approx(other.evidence.scores, abs=1e-5)
        assert one.evidence.fired(threshold) == other.evidence.fired(threshold)
        flags.add(one.score >= threshold)
    assert flags == {True, False}
