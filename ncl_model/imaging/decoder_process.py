"""A process that decodes files nobody trusts: what goes wrong in it ends it, and costs one image."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageErrorCode, ImageUnreadable
from ncl_model.imaging.canvas import canvas_side
from ncl_model.imaging.decoder_child import ANSWER, REQUEST
from ncl_model.imaging.decoding import DecodedImage
from ncl_model.imaging.native_blocks import NativeBlocks

_PROGRAM = "from ncl_model.imaging.decoder_child import main; main()"
#: seconds by the clock for each second of computing: the machine may be busy with other things
PATIENCE = 6
#: native blocks of a cell along one side, at most
_MOST_BLOCKS = 8
#: longest description of an answer, in bytes
_LONGEST_TEXT = 1 << 20
#: what it may know of this process's surroundings: no credentials
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ")


class DecoderProcess:
    """One such process, for one thread at a time. It is started at once, and ended by `close` or by an image."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for us
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # by what was not sent yet
                    pipe.close()

    def decode(
        self, data: bytes, *, config: NclConfig, max_pixels: int, memory_bytes: int, deadline_s: float
    ) -> DecodedImage:
        """As ``decode_image``, in so much more memory and so many seconds of computing. Raises ImageUnreadable.

        An image that ends the process is ``too_large`` where memory or time ran out, ``corrupt`` where the decoder
        crashed.
        """
        request = {
            "config": config.to_json(),
            "max_pixels": max_pixels,
            "memory_bytes": memory_bytes,
            "cpu_s": deadline_s,
        }
        late = threading.Timer(PATIENCE * deadline_s, self._process.kill)
        late.daemon = True
        late.start()
        try:
            self._send(json.dumps(request).encode(), data)
            return self._receive(config)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise self._ending(deadline_s, in_time=late.is_alive()) from error
        finally:
            late.cancel()

    def _send(self, request: bytes, data: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101
        pipe.write(REQUEST.pack(len(request), len(data)) + request)
        pipe.write(data)
        pipe.flush()

    def _receive(self, config: NclConfig) -> DecodedImage:
        (length,) = ANSWER.unpack(self._read(ANSWER.size))
        answer = json.loads(self._read(min(length, _LONGEST_TEXT)))
        if "code" in answer:
            code: ImageErrorCode = answer["code"]
            raise ImageUnreadable(code if code in get_args(ImageErrorCode) else "corrupt", str(answer["message"]))
        return self._image(answer, canvas_side(config.input_size))

    def _image(self, answer: dict[str, Any], most: int) -> DecodedImage:
        height, width, _ = (int(side) for side in answer["shape"])
        if not (0 < height <= most and 0 < width <= most):
            raise ValueError("no canvas of this network")
        pixels = self._array((height, width, 3))
        return DecodedImage(
            pixels=pixels,
            blocks=self._blocks(answer["blocks"], most),
            **{name: int(answer[name]) for name in ("valid_height", "valid_width", "width", "height")},
        )

    def _blocks(self, described: dict[str, Any] | None, most: int) -> NativeBlocks | None:
        if described is None:
            return None
        layers, height, width = (int(side) for side in described["shape"])
        if layers != 2 or not (0 < height <= _MOST_BLOCKS * most and 0 < width <= _MOST_BLOCKS * most):
            raise ValueError("no blocks of this canvas")
        return NativeBlocks(luma=self._array((layers, height, width)), strength=float(described["strength"]))

    def _array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return np.frombuffer(bytearray(self._read(math.prod(shape))), np.uint8).reshape(shape)

    def _read(self, size: int) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101
        data = pipe.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _ending(self, deadline_s: float, *, in_time: bool) -> ImageUnreadable:
        self.close()
        status = self._process.returncode
        if status == -signal.SIGXCPU or not in_time:
            return ImageUnreadable("too_large", f"it was not decoded within {deadline_s:g} seconds of computing")
        if status == -signal.SIGKILL:
            return ImageUnreadable("too_large", "decoding it needs more memory than there is")
        return ImageUnreadable("corrupt", f"the decoder crashed on it (status {status})")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # one heap and no threads: what is reserved for either counts as memory
    few = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return kept | few | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
