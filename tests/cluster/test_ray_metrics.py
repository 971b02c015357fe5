"""What docs/metrics.md promises of Ray's own metrics is there once images were screened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import ray
import urllib3
from support.builders import lease
from support.flow_program import wait_until
from support.odd_images import encoded, photo
from support.tiny_model import save_tiny_model

from jobs.domain import ImageKey, ImageRef, Lease, ModelRef
from jobs.screening.stage_times import STAGES
from nclscreen.hosting.applications import AppState, ServeApps, app_name
from nclscreen.hosting.ray_connection import connected_ray
from nclscreen.hosting.screener_plan import ScreenerPlan
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # Ray's own
]


def promised() -> set[str]:
    return set(re.findall(r"^\| `(ray_\w+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE))


def worker() -> Any:
    """A process that screens as workers do, and stays until its metrics are collected."""

    class Screening:  # carried by value: it cannot import this file
        def screen(self, plan: ScreenerPlan, held: Lease) -> int:
            with plan() as screener:
                return len(screener.screen(held))

    return ray.remote(Screening).remote()


def served() -> str:
    """All that this node tells Prometheus."""
    (node,) = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    return urllib3.request("GET", address, timeout=10, retries=False).data.decode()


def test_ray_tells_prometheus_what_we_say_it_does(tmp_path: Path) -> None:
    weights = save_tiny_model(tmp_path / "tiny.safetensors")
    wiring = Wiring(Settings(home=tmp_path / "home", weights=weights, heatmaps="all", replica_threads=1))
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.jpg").write_bytes(encoded(photo(seed=number), "JPEG"))
    fingerprint = wiring.model.fingerprint
    images = [ImageRef(container=photos.as_uri(), key=ImageKey(f"{number}.jpg")) for number in range(3)]
    held = lease(images, model=ModelRef(name="tiny", fingerprint=fingerprint))
    apps = ServeApps(wiring.hosting_options(), wiring.database)
    with connected_ray(wiring.ray_options()):
        apps.bring_up(wiring.versions.version(fingerprint))
        name = app_name(fingerprint, wiring.database)
        wait_until(lambda: (app := apps.found().get(name)) is not None and app.state is AppState.RUNNING, "the model")
        screening = worker()
        assert ray.get(screening.screen.remote(wiring.screener_plan(), held)) == 3

        def missing() -> set[str]:
            text = served()
            metrics = {each for each in promised() if f"# TYPE {each} " not in text}
            return metrics | {each for each in STAGES if f'stage="{each}"' not in text}

        wait_until(lambda: not missing(), "the metrics that are promised")
    wiring.engine.dispose()
