"""A real MLflow tracking server on a SQLite file, from an environment of its own that `make test` makes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from support.servers import child_processes as children
from support.servers.child_processes import ServerFailed

_PYTHON = Path(__file__).resolve().parents[3] / ".cache" / "mlflow" / "bin" / "python"
_START_S = 90.0


class MlflowServer:
    """Always at the same address, with the same data, however often it is killed; `start` it first."""

    def __init__(self) -> None:
        if not _PYTHON.exists():
            raise ServerFailed("no MLflow server is installed; install one with: make .cache/mlflow/stamp")
        self._home = Path(tempfile.mkdtemp(prefix="nclscreen-mlflow-"))
        (self._port,) = children.free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Returns when it answers."""
        log = self._home / "log"
        command = [str(_PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--backend-store-uri", f"sqlite:///{self._home / 'mlflow.db'}", "--workers", "1"]
        command += ["--default-artifact-root", str(self._home / "artifacts")]
        ours = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONPATH"))}
        self._process = children.start(command, log=log, env=env | ours)
        children.wait_until(self._answers, self._process, log=log, limit_s=_START_S)

    def kill(self) -> None:
        """At once, whatever it is doing."""
        if self._process is not None:
            children.stop(self._process, first=signal.SIGKILL)
        self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
