"""The other side of ``decoder_process``: reads requests, decodes under limits of its own, writes answers.

A request is two lengths, a JSON object and the file; an answer is a length, a JSON object and, where there is a
canvas, its pixels, and its native blocks where it has them. Nothing is pickled: who reads an answer does not trust
the one who wrote it.
"""

from __future__ import annotations

import json
import math
import os
import resource
import struct
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

# the decoders that Pillow would load at the first file of their kind, when memory is limited already
from PIL import AvifImagePlugin, Image, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import DecodedImage, decode_image

#: lengths of a request's two parts; that of an answer's first part
REQUEST, ANSWER = struct.Struct(">IQ"), struct.Struct(">I")
_PLUGINS = (AvifImagePlugin, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin)


def main() -> None:
    """Answer one request after the other, until there are no more."""
    Image.preinit()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # stacks of threads count as memory
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while begin := requests.read(REQUEST.size):
        asked, file_bytes = REQUEST.unpack(begin)
        request = json.loads(requests.read(asked))
        _answer(answers, *_decoded(request, requests.read(file_bytes)))


def _decoded(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    config = NclConfig.from_json(request["config"])
    _limit(request["memory_bytes"], request["cpu_s"])
    try:
        image = decode_image(data, config=config, max_pixels=request["max_pixels"])
        blocks = b"" if image.blocks is None else image.blocks.luma.tobytes()
        return _described(image), image.pixels.tobytes() + blocks
    except ImageUnreadable as error:
        return {"code": error.code, "message": str(error)}, b""
    except MemoryError:
        return {"code": "too_large", "message": "decoding it needs more memory than its header says"}, b""
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _limit(memory_bytes: int, cpu_s: float) -> None:
    """So much more memory than there is, and so much more computing than was done."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + cpu_s), resource.RLIM_INFINITY))


def _described(image: DecodedImage) -> dict[str, Any]:
    return {
        "shape": image.pixels.shape,
        "valid_height": image.valid_height,
        "valid_width": image.valid_width,
        "width": image.width,
        "height": image.height,
        "blocks": None
        if image.blocks is None
        else {"shape": image.blocks.luma.shape, "strength": image.blocks.strength},
    }


def _answer(answers: BinaryIO, document: dict[str, Any], pixels: bytes) -> None:
    text = json.dumps(document).encode()
    answers.write(ANSWER.pack(len(text)) + text)
    answers.write(pixels)
    answers.flush()
