"""SIGTERM while Ray starts ends a command as at any other moment: Ray would have a handler of its own there."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.cluster

_STARTING = """
import os, signal, threading
import psutil
from nclscreen.hosting.ray_connection import RayOptions, connected_ray
from nclscreen.interrupts import Terminated, heed_termination, terminate

signal.signal(signal.SIGTERM, terminate)

def strike():
    while not psutil.Process().children():
        pass
    print("struck", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=strike, daemon=True).start()
try:
    with connected_ray(RayOptions(address=None, needed_cpus=1)):
        print("started", flush=True)
except Terminated:
    print("terminated", signal.getsignal(signal.SIGTERM) is terminate, len(psutil.Process().children()), flush=True)
try:
    heed_termination()
except Terminated:
    print("remembered", flush=True)
"""


def test_a_termination_while_ray_starts_is_ours() -> None:
    done = subprocess.run([sys.executable, "-c", _STARTING], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == ["struck", "terminated True 0", "remembered"], done.stderr
    assert done.returncode == 0
