"""Prometheus and its checker of rules, promtool: those on the path, or those of Debian's package, without root."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

#: made once per checkout
_FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "prometheus"
_TOOLS = ("prometheus", "promtool")


def prometheus_tool(name: Literal["prometheus", "promtool"]) -> str:
    """The program's file; where it cannot be had its tests are left out, except in CI, where that is a failure."""
    if found := shutil.which(name):
        return found
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((_FOLDER / "usr" / "bin" / tool).exists() for tool in _TOOLS):
            _fetch()
    return str(_FOLDER / "usr" / "bin" / name)


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What it says."""
    command = [prometheus_tool("promtool"), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def _fetch() -> None:
    if shutil.which("apt-get") is None:
        _unavailable("there is no Prometheus on the path, and no apt-get to fetch it with")
    done = _run("apt-get", "download", "prometheus")
    if done.returncode and os.geteuid() == 0:  # a fresh machine knows of no packages yet
        _run("apt-get", "update", "-qq")
        done = _run("apt-get", "download", "prometheus")
    packages = sorted(_FOLDER.glob("prometheus_*.deb"))
    if done.returncode or not packages:
        _unavailable(f"Prometheus cannot be fetched: apt-get install prometheus ({done.stderr.strip()[-200:]})")
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", packages[-1]], check=True, capture_output=True, timeout=120)
    inside = [f"./usr/bin/{tool}" for tool in _TOOLS]
    subprocess.run(["tar", "-x", "-C", _FOLDER, *inside], input=packed.stdout, check=True, timeout=120)
    for package in packages:
        package.unlink()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=_FOLDER, timeout=240)


def _unavailable(reason: str) -> None:
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
