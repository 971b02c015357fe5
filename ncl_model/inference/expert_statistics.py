"""One number per expert and image, larger where it saw more: what p-values are made from."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ncl_model.architecture.config import Statistic
from ncl_model.architecture.network import NclOutput
from ncl_model.inference.evidence import PIXELS, TOGETHER, TRACES

#: the experts in the order of ``NclOutput.experts``, and what they say together
KINDS = (PIXELS, TRACES, TOGETHER)
#: the most suspect share of a map
_TOP = 0.01
#: of the image head's logit in a contrast: it sees the history of the whole file, which says little after laundering
_HEAD_SHARE = 0.25


def statistics(
    output: NclOutput, sizes: Sequence[tuple[int, ...]], statistic: Statistic = "level"
) -> tuple[dict[str, float], ...]:
    """Image by image, by expert and for both together, from the image head's logit and the map's.

    "level": the mean of the head's logit and of the mean of the map's most suspect hundredth. "contrast": that
    hundredth less the map's median, and a quarter of the head's logit [ours]: a forgery is what differs from the rest
    of its photograph, and what a file went through as a whole moves all of its map. ``sizes``: (height, width) of each
    image without its padding. Empty for a network of one.
    """
    if not output.experts or output.image is None:
        return ()
    side = output.size[0]
    maps = [*(expert.logits[-1] for expert in output.experts), output.logits[-1]]
    heads = [*(expert.image for expert in output.experts), output.image]
    found: list[dict[str, float]] = []
    for index, size in enumerate(sizes):
        photos = [_photo(logits[index, 0], size, side).flatten() for logits in maps]
        said = [float(head[index].float()) for head in heads]
        if statistic == "level":
            values = [(head + _top_mean(photo)) / 2 for head, photo in zip(said, photos, strict=True)]
        else:
            values = [
                _HEAD_SHARE * head + _top_mean(photo) - float(photo.median())
                for head, photo in zip(said, photos, strict=True)
            ]
        found.append(dict(zip(KINDS, values, strict=True)))
    return tuple(found)


def _photo(logits: Tensor, size: tuple[int, ...], side: int) -> Tensor:
    """(h, w) without what is padding; ``side``: height of the canvas in pixels."""
    stride = side // logits.shape[0]
    return logits[: -(-size[0] // stride), : -(-size[1] // stride)].float()


def _top_mean(values: Tensor) -> float:
    return float(values.topk(max(1, round(_TOP * values.numel()))).values.mean())
