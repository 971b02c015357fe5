"""Running a command of this program as a process of its own: its memory ends with it, and it can be killed alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.errors import JobsError
from ncl_model.writing import replacing

#: screening goes first (nice), and whoever is killed takes it along (PR_SET_PDEATHSIG, where there is such a thing)
_PROGRAM = """
import os, signal
os.nice(10)
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (OSError, AttributeError):
    pass
from nclscreen.cli import main
main()
"""
_POLL_S = 0.5
#: after having been told to end
_GRACE_S = 60.0
_TOLD = 2000


class CommandFailed(JobsError):
    """A step could not be done."""

    def __init__(self, command: str, code: int, said: str) -> None:
        self.command = command
        self.code = code
        self.said = said
        super().__init__(f"nclscreen {command} ended with {code}: {said}")


def run_command(arguments: Sequence[str], log: Path, result: Path, going_on: Callable[[], None]) -> None:
    """Run it to its end: what it says goes to `log`, its standard output becomes `result`, whole or not at all.

    `going_on` is called often; what it raises ends the command. Raises CommandFailed, and whatever `going_on` raises.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said, replacing(result) as partial, partial.open("wb") as out:
        command = [sys.executable, "-c", _PROGRAM, *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=said, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
        try:
            while process.poll() is None:
                going_on()
                try:
                    process.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            _end(process)
            raise
        if process.returncode != 0:
            raise CommandFailed(arguments[0], process.returncode, _last_words(log))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    deadline = time.monotonic() + _GRACE_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    if process.poll() is None:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    text = log.read_bytes()[-_TOLD:].decode("utf-8", "replace").strip()
    lines = [line for line in text.splitlines() if line.startswith("error:")]
    return (lines or text.splitlines() or ["it said nothing"])[-1].removeprefix("error: ")
