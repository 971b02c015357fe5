"""Beginning a run with weights of an earlier one, also of a network that has since grown a part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ncl_model.errors import CheckpointMismatch
from ncl_model.inference.checkpoint import load_checkpoint

_REMEDY = "Start from weights of the recipe's own network, or of one without its newer parts"


@torch.no_grad()
def adopt(network: Mapping[str, Tensor], path: Path) -> tuple[str, ...]:
    """Copy a safetensors file's weights into ``network`` (a state dict, changed in place); gives the names that grew.

    A tensor that the file lacks stays as it was drawn: a new part, such as the compression stream or the image
    head. A kernel with more input channels than the file's takes the file's for its first ones and halves the rest,
    which nothing has trained yet. Raises the errors of ``load_checkpoint``, and CheckpointMismatch when a tensor of
    the file has no place, which means another network.
    """
    given = load_checkpoint(path).weights
    grown = [name for name in network if name not in given and not name.endswith("num_batches_tracked")]
    for name, tensor in given.items():
        if name not in network:
            raise CheckpointMismatch(path, f"tensor {name!r} has no place in the recipe's network", _REMEDY)
        ours = network[name]
        if ours.shape == tensor.shape:
            ours.copy_(tensor)
        elif _has_more_inputs(ours.shape, tensor.shape):
            ours.mul_(0.5)
            ours[:, : tensor.shape[1]].copy_(tensor)
            grown.append(name)
        else:
            shapes = f"{tuple(tensor.shape)}, the recipe asks for {tuple(ours.shape)}"
            raise CheckpointMismatch(path, f"tensor {name!r} is {shapes}", _REMEDY)
    return tuple(grown)


def _has_more_inputs(ours: torch.Size, given: torch.Size) -> bool:
    same = len(ours) == len(given) > 1 and ours[0] == given[0] and ours[2:] == given[2:]
    return same and ours[1] > given[1]
