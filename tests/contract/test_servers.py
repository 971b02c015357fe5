"""The servers the other tests stand on: each database is fresh, and what was stored outlives a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from support.servers import child_processes as children
from support.servers.postgres import PostgresServer


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.mark.postgres
def test_a_database_is_empty_and_outlives_stop_and_crash(postgres_server: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(_plain(postgres_url)) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    assert tables == (0,)
    for crash in (False, True):
        postgres_server.stop(crash=crash)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(_plain(postgres_url), connect_timeout=2)
        postgres_server.start()
        with psycopg.connect(_plain(postgres_url)) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_stopping_a_server_ends_its_children_too(tmp_path: Path) -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid, flush=True); sys.stdin.read()"
    log = tmp_path / "log"
    server = children.start([sys.executable, "-c", f"{script}; import time; time.sleep(600)"], log=log)
    children.wait_until(lambda: log.read_text().endswith("\n"), server, log=log, limit_s=30)
    grandchild = int(log.read_text())
    assert psutil.pid_exists(grandchild)
    children.stop(server)
    assert _gone_within(10, grandchild)
    assert server.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help against orphans is Linux's")
def test_a_killed_test_session_leaves_no_server(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from support.servers import child_processes as children\n"
        f"print(children.start(['sleep', '600'], log=Path({str(tmp_path / 'log')!r})).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    session = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, env=environment
    )
    assert session.returncode == -signal.SIGKILL, session.stderr
    assert _gone_within(10, int(session.stdout))


def _gone_within(limit_s: float, pid: int) -> bool:
    """Whether the process ends in time; one that only waits to be collected by its parent has ended."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
    return False
