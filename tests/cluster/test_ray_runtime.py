"""Taking a local Ray down."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from nclscreen.runtime import RuntimeOptions, connected_ray

pytestmark = pytest.mark.cluster

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]


def test_ending_ray_ends_nothing_else() -> None:
    """Servers that the same process started, before or while Ray ran, outlive it; nothing of Ray does."""
    with subprocess.Popen(SLEEP) as before:
        try:
            with connected_ray(RuntimeOptions(address=None, needed_cpus=1)):
                rays = [p for p in psutil.Process().children(recursive=True) if p.pid != before.pid]
                assert rays
                meanwhile = subprocess.Popen(SLEEP)
            with meanwhile:
                try:
                    assert before.poll() is None
                    assert meanwhile.poll() is None
                finally:
                    meanwhile.kill()
            assert [p for p in rays if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
        finally:
            before.kill()
