"""Machines of one network, on one machine: namespaces of Linux as hosts, joined by a bridge.

Each host has a network, processes, a name, /tmp and shared memory of its own, and shares files with the others. All of
them live in namespaces of one process (`run_apart`): whatever ends that one, the kernel takes them along.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

NETWORK = "10.77.0"
#: of the process that commands the hosts
OWN_ADDRESS = f"{NETWORK}.1"
_PROGRAMS = ("unshare", "nsenter", "ip", "setpriv", "mount", "hostname")
_APART = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
_BRIDGE = "ip link set lo up && ip link add hosts type bridge && ip link set hosts up"
#: the first process of a host: it waits for all that is started there, as an init does
_INIT = (
    "mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm && hostname $0 && ip link set lo up "
    "&& echo ready && { sleep infinity & wait; }"
)
#: what a service manager does
_AGAIN = 'while true; do rm -rf /tmp/ray; "$@"; echo "$0 ended with $?, and is started again"; sleep 2; done'


def obstacle() -> str | None:
    """Why there can be no such hosts here, or None."""
    if sys.platform != "linux":
        return "namespaces are Linux's"
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"these programs are missing: {', '.join(missing)}"
    done = subprocess.run([*_APART, "bash", "-c", _BRIDGE], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return f"namespaces and a bridge may not be made ({done.stderr.strip()}); be root"
    here = [Path(__file__).resolve(), Path(sys.prefix).resolve()]
    return "hosts do not see what lies in /tmp" if any(path.is_relative_to("/tmp") for path in here) else None


def run_apart(command: Sequence[str]) -> int:
    """Run it in namespaces of its own to its end, and end all that it started; so, too, when this process ends."""
    # not in the terminal's group: it ends by us, not by Ctrl-C
    inside = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *_APART, *command], start_new_session=True)
    try:
        return inside.wait()
    finally:
        inside.kill()
        inside.wait()


class Network:
    """The hosts, by name. In a process of `run_apart`, once."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """`folder`: for what the hosts' programs write."""
        self.folder = folder
        _run("bash", "-c", f"{_BRIDGE} && ip addr add {OWN_ADDRESS}/24 dev hosts")
        self.hosts = {name: Host(name, f"{NETWORK}.{place}", folder) for place, name in enumerate(names, 11)}
        known = folder / "hosts"
        known.write_text("127.0.0.1 localhost\n" + "".join(f"{h.address} {h.name}\n" for h in self.hosts.values()))
        _run("mount", "--bind", str(known), "/etc/hosts")


class Host:
    """One machine: on, off, or cut off from the others."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self.log = folder / f"{name}.log"
        self._init: psutil.Process | None = None
        self._machine: subprocess.Popen[str] | None = None

    def switch_on(self) -> None:
        """Nothing runs there, and its /tmp is empty."""
        self._machine = subprocess.Popen(
            [*_APART, "bash", "-c", _INIT, self.name], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
        )
        assert self._machine.stdout is not None
        if self._machine.stdout.readline() != "ready\n":
            raise RuntimeError(f"the host {self.name} does not start")
        (self._init,) = psutil.Process(self._machine.pid).children()
        subprocess.run(["ip", "link", "del", "dev", self.name], check=False, capture_output=True)  # of its life before
        card = ["type", "veth", "peer", "name", "eth0", "netns", str(self._init.pid)]
        _run("ip", "link", "add", "name", self.name, *card)
        _run("ip", "link", "set", "dev", self.name, "master", "hosts", "up")
        # the same card in every life, so that nobody looks for the old one
        number = int(self.address.rpartition(".")[2])
        self._run("ip", "link", "set", "eth0", "address", f"02:00:00:00:00:{number:02x}", "up")
        self._run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        # leads nowhere; without one programs take a host for one that has no network
        self._run("ip", "route", "add", "default", "via", OWN_ADDRESS)

    def power_off(self) -> None:
        """All its processes are gone at once, without a word to others."""
        if self._init is not None and self._machine is not None:
            self._init.kill()
            self._machine.wait()
            self._init = None

    def cut_off(self) -> None:
        """Nothing comes in or goes out; its programs run on."""
        _run("ip", "link", "set", "dev", self.name, "down")

    def connect(self) -> None:
        """The end of `cut_off`."""
        _run("ip", "link", "set", "dev", self.name, "up")

    def start(self, command: Sequence[str], env: Mapping[str, str], *, piped: bool = False) -> subprocess.Popen[str]:
        """Start a program there; what it says goes to the host's log, or with `piped` its standard output to us."""
        with self.log.open("a") as log:
            return subprocess.Popen(
                [*self._inside(), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                text=True,
                env=dict(env),
                start_new_session=True,
            )

    def keep_running(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a program there, and again whenever it ends."""
        self.start(["bash", "-c", _AGAIN, Path(command[0]).name, *command], env)

    def titles(self) -> list[str]:
        """The command lines of its processes."""
        found = []
        for process in [] if self._init is None else psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if os.readlink(f"/proc/{process.pid}/ns/pid") == os.readlink(f"/proc/{self._init_pid}/ns/pid"):
                    found.append(" ".join(process.cmdline()))
        return found

    def told(self, lines: int = 12) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    @property
    def _init_pid(self) -> int:
        if self._init is None:
            raise RuntimeError(f"the host {self.name} is off")
        return self._init.pid

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._init_pid), "--all", "--"]

    def _run(self, *command: str) -> None:
        _run(*self._inside(), *command)


def wait_for_end(process: subprocess.Popen[str], limit_s: float) -> float | None:
    """Seconds until it ended; None where it did not in time."""
    began = time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        process.wait(limit_s)
        return time.monotonic() - began
    return None


def end_on_termination() -> None:
    """SIGTERM as Ctrl-C: what is to be cleaned up is."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
