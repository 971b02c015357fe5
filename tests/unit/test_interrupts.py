"""SIGTERM ends a command, also when it comes at a moment in which Python drops what a signal handler raises."""

from __future__ import annotations

import subprocess
import sys

_LOST = """
import signal
from nclscreen.interrupts import Terminated, heed_termination, terminate
signal.signal(signal.SIGTERM, terminate)

class Dying:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

heed_termination()
Dying()
print("went on", flush=True)
try:
    heed_termination()
except Terminated:
    print("ended")
"""


def test_a_termination_that_got_lost_is_heeded_at_the_next_turn() -> None:
    done = subprocess.run([sys.executable, "-c", _LOST], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == ["went on", "ended"]
    assert "Exception ignored in" in done.stderr  # it was really lost
