"""A photograph for showing, decoded by the model's own decoder so that people see what the model saw."""

from __future__ import annotations

from PIL import Image

from ncl_model.architecture.config import CANVAS_MINIMUM, NclConfig
from ncl_model.imaging.guarded_decoding import GuardedDecoder, shared_decoder


def upright_photo(data: bytes, max_side: int, decoder: GuardedDecoder | None = None) -> Image.Image:
    """Mode RGB, upright, the longest side at most `max_side` (at least 64) pixels, never enlarged.

    `decoder`: another one than this process's own. Raises ImageUnreadable, and nothing else, whatever the bytes are.
    """
    config = NclConfig(geometry="fit", input_size=max(max_side, CANVAS_MINIMUM))
    decoded = (decoder or shared_decoder()).decode(data, config=config)
    return Image.fromarray(decoded.pixels[: decoded.valid_height, : decoded.valid_width])
