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

from jobs.storage import S3Options
from ncl_model.inference.checkpoint import load_checkpoint
from nclscreen.catalog import ModelVersion
from nclscreen.hosting.applications import AppState, HostingOptions, ServeApps, app_name
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
def test_an_application_is_taken_down_at_once_also_when_somebody_brings_it_up_again(tmp_path: Path) -> None:
    """As on a cluster with two dispatchers, when one of them ends."""
    weights = save_tiny_model(tmp_path / "tiny.safetensors")
    fingerprint = load_checkpoint(weights).fingerprint("float32")
    version = ModelVersion(fingerprint=fingerprint, places=(str(weights),), s3=S3Options())
    apps, name = ServeApps(HostingOptions(threads=1), "d1"), app_name(fingerprint, "d1")

    def running() -> bool:
        app = apps.found().get(name)
        return app is not None and app.state is AppState.RUNNING

    with connected_ray(RayOptions(address=None, needed_cpus=2)):
        assert apps.found() == {}
        apps.bring_up(version)
        wait_until(running, "the hosted model")
        apps.take_down([name, "localizer-of-nobody"], wait=True)
        assert apps.found() == {}

        # the other dispatcher is quick: there is hardly a moment without a model
        apps.bring_up(version)
        wait_until(running, "the model hosted again")
        over = threading.Event()

        def keep() -> None:
            while not over.wait(0.05):
                if name not in apps.found():
                    apps.bring_up(version)

        other = threading.Thread(target=keep)
        other.start()
        try:
            began = time.monotonic()
            apps.take_down([name], wait=True)
            assert time.monotonic() - began < 30
            wait_until(running, "the model hosted by the other")  # it may notice only after we did
        finally:
            over.set()
            other.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # Ray's own
def test_weights_that_are_nowhere_are_told(tmp_path: Path) -> None:
    version = ModelVersion(fingerprint="f" * 64, places=("/no/such.safetensors",), s3=S3Options())
    apps = ServeApps(HostingOptions(threads=1), "d1")

    def failed() -> bool:
        app = apps.found().get(app_name(version.fingerprint, "d1"))
        return app is not None and app.state is AppState.FAILED

    with connected_ray(RayOptions(address=None, needed_cpus=2)):
        apps.bring_up(version)
        wait_until(failed, "the model that cannot be hosted")
        message = apps.found()[app_name(version.fingerprint, "d1")].message
        assert "/no/such.safetensors" in message
        assert "\n" not in message
