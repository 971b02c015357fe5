"""A Ray of our own that is being started while nobody wants it any more."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from nclscreen.hosting import ray_connection
from nclscreen.hosting.ray_connection import _await_start, _children


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_connection, "_START_S", 600.0)


def first_process(folder: Path, seconds: str) -> subprocess.Popen[bytes]:
    """A process that is called like Ray's first one."""
    program = folder / "gcs_server"
    shutil.copy(shutil.which("sleep") or "sleep", program)
    return subprocess.Popen([program, seconds])


def waiting(done: Future[None], before: set[object]) -> threading.Thread:
    thread = threading.Thread(target=_await_start, args=(done, before), daemon=True)
    thread.start()
    return thread


def test_it_is_waited_for_until_it_is_there(patient: None, tmp_path: Path) -> None:
    done: Future[None] = Future()
    before = _children()
    with first_process(tmp_path, "600") as process:
        thread = waiting(done, before)
        thread.join(1)
        assert thread.is_alive()
        done.set_result(None)
        thread.join(30)
        assert not thread.is_alive()
        process.kill()


def test_not_once_its_first_process_has_ended(patient: None, tmp_path: Path) -> None:
    before = _children()
    with first_process(tmp_path, "0"):
        thread = waiting(Future(), before)
        thread.join(30)
        assert not thread.is_alive()


def test_its_processes_are_in_groups_of_their_own() -> None:
    """Else SIGTERM to our group ends them under us."""
    from ray._private import services

    ray_connection._start_processes_in_groups_of_their_own()
    ray_connection._start_processes_in_groups_of_their_own()
    shown = [sys.executable, "-c", "import os; print(os.getpgrp() == os.getpid())"]
    with services.ConsolePopen(shown, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0] == "True\n"
