"""A very small NCL network with random weights: real in every part, fast enough for tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import NclNetwork
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint


def save_tiny_model(path: Path, *, seed: int = 0) -> Path:
    """Write the weights file; the same seed gives the same fingerprint."""
    config = NclConfig(
        backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8, geometry="fit"
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = NclNetwork(config)
    weights = pack_weights(network.state_dict())
    save_checkpoint(path, Checkpoint(config=config, weights=weights, name="tiny", version=str(seed)))
    return path


def save_lively_model(path: Path) -> Path:
    """A tiny model whose maps differ from pixel to pixel."""
    checkpoint = load_checkpoint(save_tiny_model(path))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        lively = {k: torch.randn_like(v) if "head.weight" in k else v for k, v in checkpoint.weights.items()}
    save_checkpoint(path, dataclasses.replace(checkpoint, weights=lively))
    return path
