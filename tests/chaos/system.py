"""The whole system on one machine, all of it real: PostgreSQL, S3 behind a proxy that can misbehave, a Ray cluster of
two nodes, the hosted model, and two `nclscreen up`. Parts can be shot and started again."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
from chaos.corpus import pictures
from support.servers.faulty_proxy import FaultyProxy
from support.servers.postgres import PostgresServer
from support.servers.s3_server import S3Bucket, S3Server
from support.servers.webhook_receiver import WebhookReceiver
from support.tiny_model import save_lively_model

from jobs.domain import ImageKey, JobId, JobOptions, NewJob
from jobs.domain.states import FINAL
from jobs.storage import open_storage
from jobs.webhooks.signature import secret_bytes
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

ROOT = Path(__file__).resolve().parents[2]
LEASE_S = 5.0
#: the model, and one shard at a time on each node
NODE_CPUS = 2
PATIENCE_S = 240.0
_SECRET = "whsec_" + base64.b64encode(b"a secret of the chaos campaign").decode()


class System:
    """Everything up, with the corpus in the bucket. To be closed."""

    def __init__(self, images: int) -> None:
        self._stack = ExitStack()
        try:
            self._build(images)
        except BaseException:
            self.close()
            raise

    def _build(self, images: int) -> None:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="nclchaos-")))
        self.postgres = PostgresServer()
        self._stack.callback(self.postgres.close)
        self._storage = S3Server()
        self._stack.callback(self._storage.close)
        self.proxy = FaultyProxy(self._storage.endpoint_url)
        self._stack.callback(self.proxy.close)
        self.bucket = self._storage.create_bucket()
        self.receiver = WebhookReceiver()
        self._stack.callback(self.receiver.close)
        self._set_environment()
        self.wiring = Wiring(Settings())
        self.lists: list[str] = []
        self._stack.callback(self.wiring.engine.dispose)
        self._fill(self.bucket, images)
        self._stack.callback(self._end_leftovers)
        self._start_ray()
        self.dispatchers: list[subprocess.Popen[bytes]] = []
        self._stack.callback(self._stop_dispatchers)
        self.start_dispatcher()
        self.wait(self.hosted, "the hosted model")
        self.start_dispatcher()

    def close(self) -> None:
        self._stack.close()

    @property
    def webhook_key(self) -> bytes:
        return secret_bytes(_SECRET)

    def _set_environment(self) -> None:
        """For this process and everything it starts; Ray's workers inherit it from their node."""
        for name in list(os.environ):
            if name.startswith(("NCLSCREEN_", "AWS_")):
                del os.environ[name]
        paths = [str(ROOT), str(ROOT / "platform"), os.environ.get("PYTHONPATH", "")]
        os.environ |= self._storage.env | {
            "PYTHONPATH": os.pathsep.join(paths),
            "NCLSCREEN_HOME": str(self.folder / "home"),
            "NCLSCREEN_WEIGHTS": str(save_lively_model(self.folder / "tiny.safetensors")),
            "NCLSCREEN_DATABASE_URL": self.postgres.create_database(),
            "NCLSCREEN_S3_ENDPOINT_URL": self.proxy.endpoint_url,
            "NCLSCREEN_S3_ADDRESSING_STYLE": "path",
            "NCLSCREEN_S3_READ_TIMEOUT_S": "2",
            "NCLSCREEN_HEATMAPS_URI": f"{self.bucket.container}/heatmaps/",
            "NCLSCREEN_WEBHOOK_SECRET": _SECRET,
            "NCLSCREEN_LEASE_S": str(LEASE_S),
            "NCLSCREEN_MAX_SILENCE_S": "20",
            "NCLSCREEN_REPLICA_CPUS": "0.5",
            "NCLSCREEN_REPLICA_THREADS": "1",
            "NCLSCREEN_SHARD_CPUS": "0.5",
            "NCLSCREEN_SHARDS_IN_FLIGHT": "2",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DEDUP_LOGS": "0",
        }

    def another_bucket(self, images: int) -> tuple[S3Bucket, list[str]]:
        """A bucket with photographs in it, and their URIs."""
        bucket = self._storage.create_bucket()
        return bucket, [f"{bucket.container}/{key}" for key in self._fill(bucket, images)]

    def _fill(self, bucket: S3Bucket, images: int) -> list[str]:
        straight = open_storage(bucket.container, self._storage.options)
        keys = []
        for key, data in pictures(images):
            straight.write(ImageKey(key), data, content_type="image/jpeg")
            keys.append(key)
        return keys

    def submit_list(self, uris: Sequence[str], *, priority: int) -> JobId:
        """A job over these objects, and no others."""
        straight = open_storage(self.bucket.container, self._storage.options)
        name = f"lists/{len(self.lists)}.csv"
        straight.write(ImageKey(name), "\n".join(["uri", *uris]).encode(), content_type="text/csv")
        self.lists.append(name)
        source = f"{self.bucket.container}/{name}"
        options = JobOptions(priority=priority, rescore=True)
        return self.wiring.jobs.submit(
            NewJob(source=source, model=self.wiring.model.ref, threshold=0.5, options=options)
        )

    # -- Ray

    def _start_ray(self) -> None:
        from ray._common.utils import get_default_ray_temp_dir
        from ray.cluster_utils import Cluster

        # there it writes its address, wherever else its files go, and on a fresh machine nobody has made the folder
        Path(get_default_ray_temp_dir()).mkdir(parents=True, exist_ok=True)
        self.cluster = Cluster()
        self._stack.callback(self.cluster.shutdown)
        self.cluster.add_node(num_cpus=NODE_CPUS, temp_dir=str(self.folder / "ray"), include_dashboard=False)
        self.add_node()
        os.environ["NCLSCREEN_RAY_ADDRESS"] = self.cluster.address

    def add_node(self) -> Any:
        """A node of Ray's; gives it back for `remove_node`."""
        return self.cluster.add_node(num_cpus=NODE_CPUS)

    def remove_node(self, node: Any) -> None:
        """As an autoscaler does it: its processes are asked to end."""
        self.cluster.remove_node(node, allow_graceful=True)

    def kill_node(self) -> None:
        """Not the head: with it goes Ray's own memory, and the cluster is another one afterwards."""
        self.cluster.remove_node(next(iter(self.cluster.worker_nodes)), allow_graceful=False)

    def ray_processes(self, title: str) -> list[psutil.Process]:
        """Worker processes of our cluster whose title begins so."""
        return [process for process in self._ours() if _title(process).startswith(title)]

    def hosted(self, fingerprint: str = "") -> bool:
        """Whether a replica runs: of this model version, or of any."""
        return bool(self.ray_processes(f"ray::ServeReplica:localizer-{fingerprint[:12]}"))

    # -- dispatchers

    def start_dispatcher(self) -> subprocess.Popen[bytes]:
        self.dispatchers.append(self.launch_dispatcher())
        return self.dispatchers[-1]

    def launch_dispatcher(self, **env: str) -> subprocess.Popen[bytes]:
        """One that no fault chooses as its victim: whoever launches it ends it."""
        with (self.folder / "up.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", "from nclscreen.cli import main; main()", "up"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | env,
            )

    def kill_dispatcher(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self.dispatchers.remove(process)

    def log(self) -> str:
        """The end of what the dispatchers wrote."""
        path = self.folder / "up.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def state(self) -> str:
        """For who asks why nothing goes on."""
        titles = sorted(_title(process) for process in self.ray_processes("ray::"))
        open_jobs = [job.id for job in self.wiring.jobs.latest() if job.state not in FINAL]
        waiting = {each: self.wiring.jobs.waits_for(each) for each in open_jobs}
        return f"waiting: {waiting}; Ray: {titles}; dispatchers: {self.log()}"

    def _stop_dispatchers(self) -> None:
        for process in reversed(self.dispatchers):  # the first one takes the model with it
            process.send_signal(signal.SIGCONT)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()

    def _ours(self) -> list[psutil.Process]:
        """Processes with our home folder in their environment, except this one."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                home = process.environ().get("NCLSCREEN_HOME")
                if home == os.environ.get("NCLSCREEN_HOME") and process.pid != os.getpid():
                    found.append(process)
        return found

    def _end_leftovers(self) -> None:
        for process in self._ours():
            with suppress(psutil.Error):
                process.kill()

    @staticmethod
    def wait(condition: Callable[[], Any], what: str, max_wait_s: float = PATIENCE_S) -> None:
        """Look again and again. Raises TimeoutError."""
        deadline = time.monotonic() + max_wait_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {max_wait_s:.0f} s for {what}")
            time.sleep(0.1)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
