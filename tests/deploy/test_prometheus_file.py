"""`deploy/prometheus/prometheus.yml`: by Prometheus's own checker, and against what compose starts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.deployment.documents import DEPLOY, K8S, ROOT, composed, read
from support.prometheus_tools import promtool

from nclscreen.api.metrics import router

FOLDER = DEPLOY / "prometheus"
TEXT = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")


def check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Of a copy, beside the rules; the file with the key is there on machines that have one."""
    shutil.copy(FOLDER / "alerts.yml", folder)
    (folder / "prometheus.yml").write_text(text.replace("/etc/prometheus-secrets/", ""))
    (folder / "prometheus.key").write_text("x")
    return promtool("check", "config", folder / "prometheus.yml")


def test_prometheus_can_read_it(tmp_path: Path) -> None:
    done = check(tmp_path, TEXT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("word", ["scrape_interval", "rule_files", "credentials_file", "dns_sd_configs", "targets"])
def test_a_typo_is_refused(tmp_path: Path, word: str) -> None:
    assert check(tmp_path, TEXT.replace(word, f"{word}x", 1)).returncode != 0


def test_it_asks_what_is_there() -> None:
    (written,) = read(FOLDER / "prometheus.yml")
    (compose,) = read(DEPLOY / "compose.yaml")
    jobs = {each["job_name"]: each for each in written["scrape_configs"]}
    assert jobs["nclscreen"]["static_configs"] == [{"targets": ["web:8080"]}]
    assert "/metrics" in {route.path for route in router.routes}  # type: ignore[attr-defined]
    (nodes,) = jobs["ray"]["dns_sd_configs"]
    for name in nodes["names"]:
        assert f"--metrics-export-port={nodes['port']}" in compose["services"][name]["command"]
    (secret,) = compose["services"]["prometheus"]["secrets"]
    assert jobs["nclscreen"]["authorization"]["credentials_file"] == secret["target"]


def test_the_monitor_of_rays_pods_finds_what_the_network_opens() -> None:
    """Prometheus Operator's PodMonitor, as docs/metrics.md has it."""
    docs = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", docs, re.DOTALL) if "PodMonitor" in block]
    monitor = yaml.safe_load(text)
    documents = composed(K8S / "overlays" / "small")
    (opened,) = [each["spec"] for each in documents if each["metadata"]["name"] == "ray-metrics"]
    assert monitor["spec"]["selector"] == opened["podSelector"]
    (peer,) = opened["ingress"][0]["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": monitor["metadata"]["namespace"]}
    assert monitor["spec"]["namespaceSelector"]["matchNames"] == [documents[0]["metadata"]["name"]]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "ray"}]
    assert "job_name: ray\n" in TEXT, "the same name as in compose"


def test_each_rule_is_about_a_job_that_is_asked() -> None:
    asked = set(re.findall(r"job_name: (\w+)", TEXT))
    assert set(re.findall(r'job="(\w+)"', (FOLDER / "alerts.yml").read_text())) <= asked
