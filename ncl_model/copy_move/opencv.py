"""OpenCV, imported when first needed, and set so that the same pixels give the same answer."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType


@lru_cache(maxsize=1)
def opencv() -> ModuleType:
    """The module ``cv2`` with one thread.

    The number of threads is a setting of the process, not of a call: other users of cv2 in the same process get one
    thread too. It is set once and never set back, as that would race with other threads. cv2's random numbers are not
    used.
    """
    import cv2

    cv2.setNumThreads(1)
    return cv2
