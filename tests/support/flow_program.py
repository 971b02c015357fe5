"""The program as users run it: processes of its own, with a home folder and a small model of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

_PROGRAM = [sys.executable, "-c", "from nclscreen.cli import main; main()"]
_MAX_WAIT_S = 120


@dataclass
class Program:
    """`nclscreen` with one environment."""

    env: dict[str, str]
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*_PROGRAM, *arguments],
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=_MAX_WAIT_S,
            check=False,
        )

    def json(self, *arguments: str, code: int = 0, **env: str) -> Any:
        """Run a command with --json; its standard output must be one document and nothing else."""
        done = self(*arguments, "--json", **env)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start a command as a terminal would: in a process group of its own."""
        process = subprocess.Popen(
            [*_PROGRAM, *arguments],
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # a shell that runs the tests in the background ignores Ctrl-C, and its children would too
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - nothing else happens between fork and exec
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for left in processes_of(self):
            left.kill()


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def press_ctrl_c(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """What a terminal does on Ctrl-C: SIGINT to the whole group, and once more, as people do.

    Gives exit code, standard output and error.
    """
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)  # the cleaning up after the first is under way
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=_MAX_WAIT_S)
    return process.returncode, out, err


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look again and again, with an end to patience."""
    deadline = time.monotonic() + _MAX_WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def processes_of(program: Program) -> list[psutil.Process]:
    """Processes that this program started, however indirectly: known by the home folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("NCLSCREEN_HOME") == program.env["NCLSCREEN_HOME"]:
                found.append(process)
        except psutil.Error:
            continue  # gone meanwhile, or somebody else's
    return found
