"""Masks: which pixels of a photograph were tampered with, from the files of several collections.

Most collections mark tampered pixels white; the Nimble 2016 release marks them black, and Columbia's edge masks
show one photograph of a splice in red and the other in green.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.imaging.decoding import DEFAULT_MAX_PIXELS, opened_image
from ncl_model.imaging.pixels import to_rgb

MaskColour = Literal["white", "black", "green"]
MASK_COLOURS: tuple[MaskColour, ...] = get_args(MaskColour)

#: how far a pixel may be from black or white and still count as that; JPEG masks ring about so much [ours]
_NEAR = 15
#: largest share of grey pixels taken for smoothed edges or JPEG rings rather than for a mask of another kind [ours]
GREY_TOLERATED = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedMask:
    """One mask, cut in two at the middle grey."""

    #: (H, W), True = tampered
    tampered: NDArray[np.bool_]
    #: share of pixels that are neither clearly tampered nor clearly authentic, 0 to 1
    grey: float
    #: the brightest value of the file, 0 to 255; 1 is the sign of a file of zeros and ones
    brightest: int


def decode_mask(data: bytes, colour: MaskColour = "white", *, max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedMask:
    """Bytes of a mask file to pixels, at the file's own size.

    ``white``: above 127 is tampered. ``black``: 127 and below. ``green``: green stronger than red, as in Columbia's
    edge masks, bright or dark. Transparency is ignored. Raises ImageUnreadable as the decoder of photographs does.
    """
    with opened_image(data, max_pixels) as image:
        if colour == "green":
            rgb = np.asarray(image.convert("RGB")).astype(np.int16)
            lead = rgb[..., 1] - rgb[..., 0]
            grey = float((np.abs(lead) < 50).mean())
            return DecodedMask(tampered=lead > 0, grey=grey, brightest=int(rgb.max()))
        values = np.asarray(_grey(image))
    bright = values > 127
    grey = float(((values > _NEAR) & (values < 255 - _NEAR)).mean())
    return DecodedMask(tampered=bright if colour == "white" else ~bright, grey=grey, brightest=int(values.max()))


def _grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return to_rgb(image).convert("L")
    return image.convert("L")
