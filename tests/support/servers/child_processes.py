"""Server processes of the test session: each in its own process group, none outlives the session."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02


class ServerFailed(RuntimeError):
    """A server cannot be started here. The message says which and why."""


def start(
    command: list[str],
    *,
    log: Path,
    user: int | None = None,
    env: Mapping[str, str] | None = None,
    end_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a server in a new session; it gets `end_signal` from the kernel should this process be killed (Linux)."""
    arranged = _end_with_parent(end_signal)
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=env,
            preexec_fn=arranged,  # noqa: PLW1509 (one call into the C library, looked up beforehand)
            **identity(user),
        )


def identity(user: int | None) -> dict[str, object]:
    """The arguments that make subprocess run something as this user."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def stop(process: subprocess.Popen[bytes], *, first: signal.Signals = signal.SIGTERM, grace_s: float = 10.0) -> None:
    """End a server's whole process group, gently first; returns when its leader is gone."""
    _signal_group(process, first)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], *, log: Path, limit_s: float) -> None:
    """Poll until the server answers.

    Raises:
        ServerFailed: it ended, or did not answer in time; the end of its log is in the message.
    """
    deadline = time.monotonic() + limit_s
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            state = "did not answer" if process.returncode is None else f"ended with {process.returncode}"
            raise ServerFailed(f"{process.args!r} {state}: {tail(log)}")
        time.sleep(_POLL_S)


def tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def listening(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)  # the leader's id is the group's, also after the leader has gone


def _end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, where little is allowed
    return lambda: prctl(_PR_SET_PDEATHSIG, int(number)) and None
