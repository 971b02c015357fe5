"""What is measured is the memory of programs: those that run, not the moment in which one is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.memory_watch import MemoryWatch

_LARGE = 100_000_000

# in a process of its own, which is large and forks
_FORKED = f"""
import os, signal
from support.memory_watch import MemoryWatch
held = bytearray(os.urandom(1)) * {_LARGE}
watch = MemoryWatch()
child = os.fork()
if child == 0:
    signal.pause()
print(watch.peak())
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""


def test_a_process_that_is_being_started_does_not_count_as_a_second_of_us() -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", _FORKED], capture_output=True, text=True, check=True, timeout=60, env=env
    )
    assert int(done.stdout) < _LARGE / 2


def test_a_child_counts() -> None:
    watch = MemoryWatch()
    program = f"held = bytearray(b'x') * {_LARGE}; print('there', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        assert watch.peak() > 0.9 * _LARGE
        child.stdin.write("\n")
    watch.close()
