"""Weights of an earlier run as the beginning of another, also where the network has grown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.training_material import TINY

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import NclNetwork
from ncl_model.errors import CheckpointMismatch
from ncl_model.inference.checkpoint import Checkpoint, pack_weights, save_checkpoint
from ncl_model.training.warm_start import adopt

GROWN = dataclasses.replace(TINY, compression="dct", compression_channels=8, head="pooled")


def saved(path: Path, config: NclConfig, seed: int = 7) -> NclNetwork:
    torch.manual_seed(seed)
    network = NclNetwork(config)
    save_checkpoint(path, Checkpoint(config=config, weights=pack_weights(network.state_dict()), name="x", version="1"))
    return network


def test_an_equal_network_takes_everything(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    old, new = saved(path, GROWN), NclNetwork(GROWN)
    assert adopt(new.state_dict(), path) == ()
    for name, tensor in old.state_dict().items():
        assert torch.allclose(new.state_dict()[name], tensor, atol=2e-3), name


def test_a_grown_network_keeps_what_its_elder_knew(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    old, new = saved(path, TINY), NclNetwork(GROWN)
    drawn = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    grown = adopt(new.state_dict(), path)
    assert "pyramid.pooled.weight" in grown
    assert "image_head.logit.weight" in grown
    kernel = new.state_dict()["pyramid.pooled.weight"]
    inputs = old.state_dict()["pyramid.pooled.weight"].shape[1]
    assert kernel.shape[1] == inputs + 8
    assert torch.allclose(kernel[:, :inputs], old.state_dict()["pyramid.pooled.weight"], atol=2e-3)
    assert torch.equal(kernel[:, inputs:], 0.5 * drawn["pyramid.pooled.weight"][:, inputs:])
    assert torch.equal(new.state_dict()["image_head.logit.weight"], drawn["image_head.logit.weight"])
    assert torch.allclose(
        new.state_dict()["backbone.stage1.0.body.0.0.weight"],
        old.state_dict()["backbone.stage1.0.body.0.0.weight"],
        atol=2e-3,
    )


@pytest.mark.parametrize(
    ("given", "wanted", "problem"),
    [
        (GROWN, TINY, "has no place"),
        (dataclasses.replace(TINY, width=12), TINY, "the recipe asks for"),
        (dataclasses.replace(TINY, backbone="resnet34"), TINY, "has no place"),
    ],
)
def test_weights_of_another_network_are_refused(
    given: NclConfig, wanted: NclConfig, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    saved(path, given)
    with pytest.raises(CheckpointMismatch, match=problem) as caught:
        adopt(NclNetwork(wanted).state_dict(), path)
    assert str(path) in str(caught.value)
