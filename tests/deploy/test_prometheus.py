"""A real Prometheus asks a real server: it takes what it is told, and answers what dashboards and alerts ask."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from support.grafana import filled_in, questions
from support.page_server import site_with
from support.prometheus_tools import prometheus_tool
from support.screened_jobs import Shot
from support.servers import child_processes as children

from jobs.registry.hosted_models import HostedModel, HostingState

ALERTS = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "alerts.yml"


class Prometheus:
    """One that asks every second."""

    def __init__(self, home: Path, target: str) -> None:
        (home / "alerts.yml").write_text(ALERTS.read_text())
        scraped = {"job_name": "nclscreen", "static_configs": [{"targets": [target]}]}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [scraped],
        }
        (home / "prometheus.yml").write_text(yaml.safe_dump(config))
        (port,) = children.free_ports(1)
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.log = home / "log"
        command = [prometheus_tool("prometheus"), f"--config.file={home / 'prometheus.yml'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={home / 'data'}"]
        self.process: subprocess.Popen[bytes] = children.start(command, log=self.log)

    def ask(self, path: str, **fields: str) -> Any:
        found = json.loads(urllib3.request("GET", f"{self.url}/{path}", fields=fields, timeout=10, retries=False).data)
        assert found["status"] == "success", found
        return found["data"]

    def answers(self, expr: str) -> bool:
        try:
            return bool(self.ask("query", query=expr)["result"])
        except (urllib3.exceptions.HTTPError, ValueError):
            return False  # it is being started

    def wait_for(self, expr: str) -> None:
        children.wait_until(lambda: self.answers(expr), self.process, log=self.log, limit_s=60)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has asked a server with a job, a dispatcher and a hosted model a few times."""
    root = tmp_path_factory.mktemp("watched")
    with site_with(root / "site", [Shot(key="a.jpg", score=0.9), Shot(key="b.jpg", score=0.1)]) as site:
        site.wiring.dispatchers.seen("desk", None)
        ready = HostedModel(fingerprint="ab" * 32, state=HostingState.READY)
        site.wiring.hosted_models.renew("c1", "desk", [ready], 600)
        home = root / "prometheus"
        home.mkdir()
        found = Prometheus(home, site.url.removeprefix("http://"))
        try:
            found.wait_for("count_over_time(nclscreen_dispatchers[1m]) >= 3")
            yield found
        finally:
            children.stop(found.process)


def test_it_takes_every_figure(prometheus: Prometheus) -> None:
    (target,) = prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    kinds = {name: each[0]["type"] for name, each in prometheus.ask("metadata").items()}
    assert kinds["nclscreen_images_recorded_total"] == "counter"
    assert kinds["nclscreen_jobs"] == "gauge"


@pytest.mark.parametrize(
    ("who", "expr"), [each for each in questions() if "ray_" not in each[1]], ids=lambda value: value[:50]
)
def test_it_answers_what_dashboards_ask(prometheus: Prometheus, who: str, expr: str) -> None:
    found = prometheus.ask("query", query=filled_in(expr))["result"]
    may_be_empty = "> 0" in expr  # nothing happens here
    assert found or may_be_empty, f"{who} has no answer"


def test_rules_are_evaluated_and_nothing_is_wrong_here(prometheus: Prometheus) -> None:
    (group,) = prometheus.ask("rules")["groups"]
    assert len(group["rules"]) == len(yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"])
    assert {rule["name"]: rule.get("lastError", "") for rule in group["rules"] if rule["health"] == "err"} == {}
    assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []
