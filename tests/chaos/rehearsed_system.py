"""nclscreen on hosts of its own (`support.hosts`): Ray's head, two workers, PostgreSQL and S3, the platform."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.corpus import pictures
from sqlalchemy import select
from support.hosts import Host, Network
from support.servers import child_processes as children
from support.tiny_model import save_lively_model

from jobs.domain import ImageKey, JobId, JobOptions, NewJob
from jobs.domain.states import FINAL
from jobs.registry.hosted_models import HostingState
from jobs.sql.database import reading
from jobs.sql.rows import database_clock
from jobs.sql.tables import hosted_models
from jobs.storage import open_storage
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

ROOT = Path(__file__).resolve().parents[2]
WORKERS = ("worker-1", "worker-2")
#: shorter than in production, so that a rehearsal is
LEASE_S = 20.0
PATIENCE_S = 300.0
#: on two hosts of these there is place for the model and three shards, on one of them, too, but for one shard
WORKER_CPUS = 3
_RAY = ["--disable-usage-stats", "--object-store-memory=134217728", "--block"]
_NODES = (
    "import ray; ray.init('auto', logging_level='ERROR', log_to_driver=False); "
    "print(sum(node['Alive'] for node in ray.nodes()))"
)


class RehearsedSystem:
    """Everything up, with the corpus in the bucket. What it started ends with the namespaces."""

    def __init__(self, folder: Path, images: int) -> None:
        self.images = images
        self.network = Network(folder, ("head", *WORKERS, "storage", "platform"))
        for host in self.network.hosts.values():
            host.switch_on()
        self._env = self._common_environment()
        self.bucket, self._platform_env = self._start_storage(folder)
        for name in [each for each in os.environ if each.startswith(("NCLSCREEN_", "AWS_"))]:
            del os.environ[name]
        os.environ |= self._platform_env
        self.wiring = Wiring(Settings())
        self._fill()
        self.start_head()
        for worker in self.workers:
            self._join(worker, WORKER_CPUS)
        self.start_platform()
        self.wait(self.hosting, "the hosted model")

    def host(self, name: str) -> Host:
        return self.network.hosts[name]

    @property
    def workers(self) -> list[Host]:
        return [self.host(name) for name in WORKERS]

    # -- its parts

    def _common_environment(self) -> dict[str, str]:
        programs = Path(sys.executable).parent
        return {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "NCLSCREEN_HOME": "/tmp/home",
        }

    def _start_storage(self, folder: Path) -> tuple[str, dict[str, str]]:
        """The bucket, and the environment of the platform; nodes of Ray get what they need of it, too."""
        host = self.host("storage")
        program = [sys.executable, str(Path(__file__).with_name("storage_host.py")), host.address]
        data = folder / "storage"  # not in memory: its servers want a file system with attributes, as another user
        data.mkdir()
        for each, mode in ((folder, 0o755), (data, 0o777)):
            each.chmod(mode)
        started = host.start(program, self._env | {"TMPDIR": str(data)}, piped=True)
        assert started.stdout is not None
        reached = json.loads(started.stdout.readline())
        self._env |= reached["env"]
        bucket = str(reached["bucket"])
        return bucket, reached["env"] | {
            "NCLSCREEN_DATABASE_URL": reached["database"],
            "NCLSCREEN_WEIGHTS": str(save_lively_model(folder / "tiny.safetensors")),
            "NCLSCREEN_HEATMAPS_URI": f"{bucket}/heatmaps/",
            "NCLSCREEN_MODELS_URI": f"{bucket}/models/",
            "NCLSCREEN_HOME": str(folder / "home"),
            "NCLSCREEN_LEASE_S": str(LEASE_S),
            "NCLSCREEN_SHARDS_IN_FLIGHT": "3",
            "NCLSCREEN_SHARDS_PER_WORKER": "1",
        }

    def _fill(self) -> None:
        storage = open_storage(self.bucket, self.wiring.settings.s3)
        for key, data in pictures(self.images):
            storage.write(ImageKey(key), data, content_type="image/jpeg")

    def start_head(self) -> None:
        """On its host, which is on; returns when it answers."""
        head = self.host("head")
        place = ["--port=6379", f"--node-ip-address={head.address}", "--num-cpus=0", "--include-dashboard=false"]
        head.keep_running(["ray", "start", "--head", *place, *_RAY], self._env)
        self.wait(lambda: children.listening(6379, head.address), "Ray's head")

    def replace_head(self) -> None:
        """It is gone without a word, and another one comes to its address."""
        self.host("head").power_off()
        time.sleep(3)  # an outage, and no hiccup: others see that nobody answers
        self.host("head").switch_on()
        self.start_head()

    def _join(self, host: Host, cpus: int) -> None:
        place = [f"--address={self.head_address}", f"--node-ip-address={host.address}", f"--num-cpus={cpus}"]
        host.keep_running(["ray", "start", *place, *_RAY], self._env)

    @property
    def head_address(self) -> str:
        return f"{self.host('head').address}:6379"

    def start_platform(self) -> None:
        """As in compose: a node of Ray's and `nclscreen up` end together, and are started again."""
        program = ["bash", str(ROOT / "deploy" / "on_ray.sh"), self.head_address, "up"]
        self.host("platform").keep_running(program, self._on_platform)

    def start_platform_by_itself(self) -> subprocess.Popen[str]:
        """`nclscreen up` that nobody starts again, beside a node that is."""
        host = self.host("platform")
        self._join(host, 0)
        socket = "/tmp/ray/session_latest/sockets/raylet"
        self.wait(lambda: host.start(["test", "-S", socket], self._env).wait() == 0, "the platform's node")
        return host.start(["nclscreen", "up"], self._on_platform)

    def restart_platform_host(self) -> None:
        """Nothing runs on it then."""
        self.host("platform").power_off()
        self.host("platform").switch_on()

    def start_for_training(self) -> None:
        """Everything of Ray's anew, with one CPU on each worker's host, and no `nclscreen up`."""
        for name in ("platform", *WORKERS, "head"):
            self.host(name).power_off()
            self.host(name).switch_on()
        self.start_head()
        for host, cpus in (*((worker, 1) for worker in self.workers), (self.host("platform"), 0)):
            self._join(host, cpus)
        self.wait(lambda: self.nodes() == len(WORKERS) + 2, "all nodes of Ray's")

    def start_training(self, data: Path, out: str, steps: int) -> subprocess.Popen[str]:
        """On both workers' hosts; what it says goes to the platform's log, its document to its standard output."""
        command = ["nclscreen", "train", "smoke", "--workers", str(len(WORKERS)), "--address", "auto", "--json"]
        command += ["--data", str(data), "--out", out, "--steps", str(steps), "--set", "save_minutes=0.05"]
        return self.host("platform").start(command, self._on_platform, piped=True)

    @property
    def _on_platform(self) -> dict[str, str]:
        return self._env | self._platform_env | {"NCLSCREEN_RAY_ADDRESS": "auto", "NCLSCREEN_HOME": "/tmp/home"}

    # -- what becomes of it

    def submit(self) -> JobId:
        """A job over the whole corpus; nothing is taken over from earlier ones."""
        options = JobOptions(rescore=True)
        source = f"{self.bucket}/photos/"
        return self.wiring.jobs.submit(
            NewJob(source=source, model=self.wiring.model.ref, threshold=0.5, options=options)
        )

    def done(self, job_id: JobId) -> int:
        return self.wiring.jobs.get(job_id).counts.done

    def over(self, job_id: JobId) -> bool:
        return self.wiring.jobs.get(job_id).state in FINAL

    def hosting(self) -> set[tuple[str, str]]:
        """(cluster, dispatcher) of those that say that the model answers."""
        ready = select(hosted_models.c.cluster, hosted_models.c.dispatcher).where(
            hosted_models.c.state == HostingState.READY.value, hosted_models.c.expires_at >= database_clock()
        )
        with reading(self.wiring.engine) as connection:
            return {(cluster, dispatcher) for cluster, dispatcher in connection.execute(ready)}

    def nodes(self) -> int:
        """Nodes of Ray's that are alive, asked on the platform's host; 0 where nobody answers."""
        asked = self.host("platform").start([sys.executable, "-c", _NODES], self._on_platform, piped=True)
        try:
            told, _ = asked.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            asked.kill()
            return 0
        return int(told) if told.strip().isdigit() else 0

    def told(self) -> str:
        """The ends of the hosts' logs."""
        return "\n".join(f"--- {host.name}\n{host.told()}" for host in self.network.hosts.values())

    @staticmethod
    def wait(condition: Callable[[], Any], what: str, limit_s: float = PATIENCE_S) -> float:
        """Look again and again; the seconds it took. Raises TimeoutError."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit_s:
                raise TimeoutError(f"waited {limit_s:.0f} s for {what}")
            time.sleep(0.2)
        return time.monotonic() - began
