"""`deploy/on_ray.sh`, with a `ray` and an `nclscreen` that do what the test wants."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deployment.documents import DEPLOY

#: the node listens as a raylet does, until it is told to end or finds the file `die`
NODE = """#!/bin/bash
echo "ray $*" >> "$LOG"
[ "$1" = health-check ] && { [ -e "$FOLDER/head" ]; exit; }
mkdir -p "$RAY_TMPDIR/ray/session_latest/sockets"
ln -s "$FOLDER/raylet" "$RAY_TMPDIR/ray/session_latest/sockets/raylet"
trap 'echo "node told to end" >> "$LOG"; exit 0' TERM
until [ -e "$FOLDER/die" ]; do sleep 0.05; done
exit 1
"""
PROGRAM = """#!/bin/bash
echo "nclscreen $*" >> "$LOG"
trap 'echo "program told to end" >> "$LOG"; exit 143' TERM
until [ -e "$FOLDER/done" ]; do sleep 0.05; done
exit 7
"""


class Started:
    """The script, running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        for name, text in (("ray", NODE), ("nclscreen", PROGRAM)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / "raylet"))
        environment = os.environ | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "LOG": str(self.log),
            "FOLDER": str(folder),
            "RAY_TMPDIR": str(folder / "tmp"),
        }
        command = ["bash", str(DEPLOY / "on_ray.sh"), "head:6379", "up", "--port", "8080"]
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)

    def make(self, name: str) -> None:
        (self.folder / name).touch()

    def wait_for(self, line: str) -> str:
        deadline = time.monotonic() + 20
        while line not in (told := self.log.read_text() if self.log.exists() else ""):
            assert time.monotonic() < deadline, f"{line!r} is not in:\n{told}"
            time.sleep(0.02)
        return told

    def run_on_a_head(self) -> None:
        """The head is there, and so the program begins."""
        self.make("head")
        self.wait_for("nclscreen up")

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._listening.close()


@pytest.fixture
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    found = Started(tmp_path_factory.mktemp("r"))  # names of sockets have to be short
    yield found
    found.close()


def test_the_program_starts_once_the_node_has_joined_and_its_exit_code_is_told(started: Started) -> None:
    started.wait_for("ray health-check --address head:6379")
    assert "ray start" not in started.log.read_text()
    started.make("head")
    told = started.wait_for("nclscreen up --port 8080")
    assert "ray start --address=head:6379 --num-cpus=0 --num-gpus=0" in told
    started.make("done")
    assert started.process.wait(20) == 7
    assert "node told to end" in started.log.read_text()


def test_the_program_ends_with_its_node(started: Started) -> None:
    """A head that came back at the old address would leave it waiting for ever."""
    started.run_on_a_head()
    started.make("die")
    assert started.process.wait(20) == 1
    assert "program told to end" in started.log.read_text()


def test_told_to_end_it_lets_the_program_finish_and_then_the_node(started: Started) -> None:
    started.run_on_a_head()
    started.process.terminate()
    assert started.process.wait(20) == 143
    told = started.log.read_text()
    assert told.index("program told to end") < told.index("node told to end")
