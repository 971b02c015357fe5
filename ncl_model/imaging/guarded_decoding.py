"""Decoding what strangers put into a bucket: within a budget of memory and a deadline, whatever the file is.

Still JPEG, PNG and WebP files with nothing out of the ordinary in their headers are decoded in this process: their
memory is known beforehand, and their time is short. All others, and those that are very large, go to processes that
may be ended (``decoder_process``).
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from functools import lru_cache

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoder_process import DecoderProcess
from ncl_model.imaging.decoding import DEFAULT_MAX_PIXELS, DecodedImage, decode_image
from ncl_model.imaging.header import ImageHeader, read_header
from ncl_model.imaging.memory_budget import BudgetExceeded, MemoryBudget, machine_memory

#: share of a machine's memory that decoding may take where nobody says how much
_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class DecodingLimits:
    """How much one process may spend on decoding."""

    #: larger images are refused
    max_pixels: int = DEFAULT_MAX_PIXELS
    #: for all images that are decoded at once; None: a quarter of the machine's, shared by ``workers``
    memory_bytes: int | None = None
    #: seconds of computing for one image
    deadline_s: float = 20.0
    #: processes for files that are out of the ordinary
    processes: int = 2
    #: processes like this one, and CPUs that each takes: as many may be on one machine as it has CPUs for
    workers: int = 1
    worker_cpus: float = 1.0

    def budget(self) -> int:
        """Bytes, on this machine."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        here = max(1, min(self.workers, int((os.cpu_count() or 1) / self.worker_cpus)))
        return int(machine_memory() * _SHARE / here)


class GuardedDecoder:
    """Decodes from any thread. Processes are started when the first file needs one, and replaced when one ended."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits
        self._budget = MemoryBudget(limits.budget())
        self._places = threading.BoundedSemaphore(limits.processes)
        self._idle: queue.LifoQueue[DecoderProcess] = queue.LifoQueue()

    def decode(self, data: bytes, *, config: NclConfig) -> DecodedImage:
        """As ``decode_image``. Raises ImageUnreadable; ``too_large`` also for what needs more memory or time."""
        header = read_header(data)
        if header is None:
            return decode_image(data, config=config, max_pixels=self._limits.max_pixels)
        if header.pixels > self._limits.max_pixels:
            size = f"{header.width}x{header.height} pixels"
            raise ImageUnreadable("too_large", f"{size}, the limit is {self._limits.max_pixels}")
        try:
            needed = header.decode_bytes(len(data), native_blocks=config.native_blocks > 0)
            with self._budget.reserve(needed):
                return self._decode(data, config, header, needed)
        except BudgetExceeded as error:
            mb, most_mb = (round(size / 1e6) for size in (error.needed, error.total))
            message = f"decoding it may take {mb} MB of memory; all decoding may take {most_mb} MB"
            raise ImageUnreadable("too_large", message) from error

    def close(self) -> None:
        """End the processes that have nothing to do."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _decode(self, data: bytes, config: NclConfig, header: ImageHeader, size: int) -> DecodedImage:
        if header.ordinary:
            return decode_image(data, config=config, max_pixels=header.pixels)
        with self._places:
            process = self._process()
            try:
                return process.decode(
                    data,
                    config=config,
                    max_pixels=self._limits.max_pixels,
                    memory_bytes=size,
                    deadline_s=self._limits.deadline_s,
                )
            finally:
                if process.alive:
                    self._idle.put(process)

    def _process(self) -> DecoderProcess:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            return self._start()
        if process.alive:
            return process
        process.close()
        return self._process()

    def _start(self) -> DecoderProcess:
        return DecoderProcess()


@lru_cache(maxsize=1)
def shared_decoder() -> GuardedDecoder:
    """One of default limits for this process: for pictures that people look at."""
    return GuardedDecoder(DecodingLimits())
