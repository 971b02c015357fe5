"""Tensors as a file holds them: torch, a second to import, is needed only by who computes with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class StoredWeights(Mapping[str, "Tensor"]):
    """Tensors by name, each made when it is asked for; they share their memory with what was read."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Tensor:
        import torch

        return torch.from_numpy(self._arrays[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def array(self, name: str) -> NDArray[Any]:
        """The same without torch."""
        return self._arrays[name]


class Content(NamedTuple):
    """What a fingerprint covers of one tensor."""

    #: as torch says it, for example "torch.float16"
    dtype: str
    shape: tuple[int, ...]
    #: row by row, whatever its layout in memory
    data: bytes


def content_of(weights: Mapping[str, Tensor], name: str) -> Content:
    """What there is of the tensor ``name``; the same whether it was read or made."""
    if isinstance(weights, StoredWeights):
        array = weights.array(name)
        return Content(f"torch.{array.dtype}", array.shape, np.ascontiguousarray(array).tobytes())
    tensor = weights[name].detach().cpu().contiguous()
    return Content(str(tensor.dtype), tuple(tensor.shape), tensor.numpy().tobytes())
