"""Photographs as bytes of a file, and what decoding them ends with."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import decode_image

FIT = NclConfig(backbone="resnet18", geometry="fit")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def code_of(data: bytes, **options: int) -> str:
    with pytest.raises(ImageUnreadable) as caught:
        decode_image(data, config=FIT, **options)
    return caught.value.code
