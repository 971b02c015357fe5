"""Memory that several threads share by weight: who needs more than is left waits for others to give theirs back."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: limits of the control group that this process runs in, version 2 and 1
_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class BudgetExceeded(Exception):
    """One request alone is larger than the whole budget."""

    def __init__(self, needed: int, total: int) -> None:
        self.needed = needed
        self.total = total
        super().__init__(f"{needed} bytes, of {total} in all")


class MemoryBudget:
    """``total`` bytes, given out in the order in which they were asked for: large requests do not starve."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Wait until ``size`` bytes are free, and hold them inside. Raises BudgetExceeded where they never can be."""
        if size > self.total:
            raise BudgetExceeded(size, self.total)
        self._take(size)
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()

    def _take(self, size: int) -> None:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._changed.wait_for(lambda: self._queue[0] is ticket and size <= self._free)
                self._free -= size
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()


def machine_memory(limits: tuple[Path, ...] = _LIMIT_FILES) -> int:
    """Bytes that programs here may have: those of the machine, or of the container where that has fewer."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in limits:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # there is none, or it says "max"
    return min(found)
