"""From a config to the network it names."""

from __future__ import annotations

import torch

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.experts import ExpertsNetwork
from ncl_model.architecture.network import NclNetwork

#: any network that a checkpoint can hold; called with pixels and ``valid_sizes``, it gives ``NclOutput``
Network = NclNetwork | ExpertsNetwork


def build_network(config: NclConfig) -> Network:
    """The network of ``config.architecture``, its weights drawn at random."""
    return ExpertsNetwork(config) if config.architecture == "experts" else NclNetwork(config)


def last_bias(config: NclConfig) -> str:
    """Name of the parameter that shifts every logit of the prediction."""
    return "join_head.bias" if config.architecture == "experts" else "decoder.stride1.head.bias"


def channels_last(network: Network) -> Network:
    """The same network with kernels laid out channels last, which convolutions on CPUs run faster."""
    # torch's stubs leave memory_format out of Module.to
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
