"""How much memory this process and its children take at most, above what they took at the beginning."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import psutil

_EVERY_S = 0.02


class MemoryWatch:
    """Samples private memory in a thread of its own."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self._command = self._process.cmdline()
        self._over = threading.Event()
        self._base = self._most = self._taken()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """What is taken now is the beginning."""
        self._base = self._most = self._taken()

    def peak(self) -> int:
        """Bytes above the beginning."""
        return max(self._most, self._taken()) - self._base

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._most = max(self._most, self._taken())

    def _taken(self) -> int:
        taken = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            with suppress(psutil.Error):
                if process != self._process and process.cmdline() == self._command:
                    continue  # it is just being started: until it has a program of its own, its memory is ours
                memory = process.memory_info()
                taken += memory.rss - memory.shared
        return taken
