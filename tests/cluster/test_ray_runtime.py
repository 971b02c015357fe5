"""A local Ray and the model on it: taken down, brought up again."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from support.flow_program import wait_until
from support.tiny_model import save_tiny_model

from nclscreen.hosting.applications import APP_NAME, Hosting, keep_hosted, ray_runtime, take_down
from nclscreen.hosting.ray_connection import RayOptions, connected_ray

pytestmark = pytest.mark.cluster

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]


def test_ending_ray_ends_nothing_else() -> None:
    """Servers that the same process started, before or while Ray ran, outlive it; nothing of Ray does."""
    with subprocess.Popen(SLEEP) as before:
        try:
            others = set(psutil.Process().children(recursive=True))  # servers of other tests, too
            with connected_ray(RayOptions(address=None, needed_cpus=1)):
                rays = [p for p in psutil.Process().children(recursive=True) if p not in others]
                assert rays
                meanwhile = subprocess.Popen(SLEEP)
            with meanwhile:
                try:
                    assert before.poll() is None
                    assert meanwhile.poll() is None
                finally:
                    meanwhile.kill()
            assert [p for p in rays if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
        finally:
            before.kill()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # Ray's own
def test_a_model_that_another_program_took_down_is_hosted_again(tmp_path: Path) -> None:
    """As on a cluster with two dispatchers, when the one that brought the model up ends."""
    from ray import serve

    hosting = Hosting(weights=str(save_tiny_model(tmp_path / "tiny.safetensors")), precision="float32", threads=1)
    with ray_runtime(RayOptions(address=None, needed_cpus=2), hosting):
        keep_hosted(hosting)  # nothing to do
        take_down(serve)
        assert APP_NAME not in serve.status().applications
        keep_hosted(hosting)
        assert _running()

        # the other dispatcher is quick: there is hardly a moment without a model
        over = threading.Event()

        def keep() -> None:
            while not over.wait(0.05):
                keep_hosted(hosting)

        other = threading.Thread(target=keep)
        other.start()
        try:
            began = time.monotonic()
            take_down(serve)
            assert time.monotonic() - began < 30
            wait_until(_running, "the model hosted again")  # the other may notice only after we did
        finally:
            over.set()
            other.join()


def _running() -> bool:
    from ray import serve

    app = serve.status().applications.get(APP_NAME)
    return app is not None and app.status == "RUNNING"
