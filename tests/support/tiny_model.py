"""A very small NCL network with random weights: real in every part, fast enough for tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from support.training_material import TINY_EXPERTS

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.evidence_rule import EvidenceRule
from ncl_model.architecture.experts import ExpertsNetwork
from ncl_model.architecture.network import NclNetwork
from ncl_model.architecture.registry import build_network
from ncl_model.copy_move import CopyMoveConfig
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


def save_experts_model(path: Path) -> Path:
    """A tiny model of several kinds of evidence that believes in copied regions alone."""
    rng = np.random.default_rng(0)
    authentic = {
        "pixels": list(rng.normal(1e6, 1, 600)),
        "traces": list(rng.normal(1e6, 1, 600)),
        "copies": list(np.maximum(0, rng.standard_normal(600) - 1.2)),
    }
    config = NclConfig(
        architecture="experts", backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8,
        compression="dct", head="pooled", grid="estimated", geometry="fit", copy_move=CopyMoveConfig(),
        evidence=EvidenceRule.fit(authentic), score_rule="evidence",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = pack_weights(build_network(config).state_dict())
    save_checkpoint(path, Checkpoint(config=config, weights=weights, name="experts", version="0"))
    return path


def save_lively_experts(path: Path, config: NclConfig = TINY_EXPERTS) -> Path:
    """Tiny experts whose maps differ from pixel to pixel."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build_network(config)
        assert isinstance(network, ExpertsNetwork)
        for head in (network.join_head, *network.pixels.heads(), *network.traces.heads()):
            torch.nn.init.normal_(head.weight, std=1.0)
    weights = pack_weights(network.state_dict())
    save_checkpoint(path, Checkpoint(config=config, weights=weights, name="experts", version="1"))
    return path


def save_every_evidence_model(path: Path) -> Path:
    """Lively experts with scales of every kind of evidence, around what they say of made photographs."""
    rng = np.random.default_rng(0)
    authentic = {
        "pixels": list(rng.normal(55, 25, 600)),
        "traces": list(rng.normal(28, 5, 600)),
        "together": list(rng.normal(-3, 2.5, 600)),
        "copies": list(np.maximum(0, rng.standard_normal(600) - 1.2)),
    }
    rule = EvidenceRule.fit(authentic)
    config = dataclasses.replace(
        TINY_EXPERTS, input_size=256, copy_move=CopyMoveConfig(), evidence=rule, score_rule="evidence"
    )
    return save_lively_experts(path, config)


def save_lively_model(path: Path, *, seed: int = 3) -> Path:
    """A tiny model whose maps differ from pixel to pixel; the same seed gives the same fingerprint."""
    checkpoint = load_checkpoint(save_tiny_model(path))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        lively = {k: torch.randn_like(v) if "head.weight" in k else v for k, v in checkpoint.weights.items()}
    save_checkpoint(path, dataclasses.replace(checkpoint, weights=lively))
    return path
