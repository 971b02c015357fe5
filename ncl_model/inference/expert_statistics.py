"""One number per expert and image, larger where it saw more: what p-values are made from."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ncl_model.architecture.network import NclOutput
from ncl_model.inference.evidence import PIXELS, TOGETHER, TRACES

#: the experts in the order of ``NclOutput.experts``, and what they say together
KINDS = (PIXELS, TRACES, TOGETHER)
#: the most suspect share of a map
_TOP = 0.01


def statistics(output: NclOutput, sizes: Sequence[tuple[int, ...]]) -> tuple[dict[str, float], ...]:
    """Image by image, by expert and for both together: the mean of the image head's logit and of the map's most
    suspect logits.

    ``sizes``: (height, width) of each image without its padding. Empty for a network of one.
    """
    if not output.experts or output.image is None:
        return ()
    side = output.size[0]
    maps = [*(expert.logits[-1] for expert in output.experts), output.logits[-1]]
    heads = [*(expert.image for expert in output.experts), output.image]
    found: list[dict[str, float]] = []
    for index, size in enumerate(sizes):
        tops = [_top_mean(_photo(logits[index, 0], size, side)) for logits in maps]
        values = [(float(head[index].float()) + top) / 2 for head, top in zip(heads, tops, strict=True)]
        found.append(dict(zip(KINDS, values, strict=True)))
    return tuple(found)


def _photo(logits: Tensor, size: tuple[int, ...], side: int) -> Tensor:
    """(h, w) without what is padding; ``side``: height of the canvas in pixels."""
    stride = side // logits.shape[0]
    return logits[: -(-size[0] // stride), : -(-size[1] // stride)].float()


def _top_mean(values: Tensor) -> float:
    flat = values.flatten()
    return float(flat.topk(max(1, round(_TOP * flat.numel()))).values.mean())
