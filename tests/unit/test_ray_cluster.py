"""`ray_cluster.yaml`, as Ray and AWS would read it."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config

from nclscreen.cluster_options import decoding_limits, hosting_options, ray_options
from nclscreen.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "ray_cluster.yaml"


@pytest.fixture
def written() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


@pytest.fixture
def prepared(written: dict[str, Any]) -> dict[str, Any]:
    """The configuration with Ray's defaults filled in, as `ray up` does before it validates."""
    return prepare_config(written)


def test_ray_accepts_it(prepared: dict[str, Any]) -> None:
    validate_config(prepared)


@pytest.mark.parametrize("spoil", ["head_node_type", "unknown_field", "max_workers"])
def test_ray_would_notice_a_mistake(written: dict[str, Any], spoil: str) -> None:
    """The validation is a real one."""
    written[spoil] = "nonsense"
    with pytest.raises(Exception, match=r"nonsense|head_node_type|unknown_field"):
        validate_config(prepare_config(written))


def test_there_is_a_head_and_two_kinds_of_autoscaled_workers(prepared: dict[str, Any]) -> None:
    kinds = prepared["available_node_types"]
    assert set(kinds) == {"head", "cpu_worker", "gpu_worker"}
    assert prepared["head_node_type"] == "head"
    for worker in ("cpu_worker", "gpu_worker"):
        assert kinds[worker]["min_workers"] < kinds[worker]["max_workers"]
    assert kinds["gpu_worker"]["resources"]["GPU"] > 0
    assert "GPU" not in kinds["cpu_worker"]["resources"]
    assert sum(kind.get("max_workers", 0) for kind in kinds.values()) <= prepared["max_workers"]


def test_aws_knows_every_field_of_every_node(prepared: dict[str, Any]) -> None:
    model = botocore.session.Session().get_service_model("ec2")
    request = model.operation_model("RunInstances").input_shape
    instance_types = set(model.shape_for("InstanceType").enum)
    for name, kind in prepared["available_node_types"].items():
        report = ParamValidator().validate({"MinCount": 1, "MaxCount": 1, **kind["node_config"]}, request)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        assert kind["node_config"]["InstanceType"] in instance_types


def test_images_have_the_ray_and_the_python_of_this_project(prepared: dict[str, Any]) -> None:
    images = re.findall(r"rayproject/ray:\S+", FILE.read_text())
    assert len(images) == 3
    for image in images:
        assert image.startswith(f"rayproject/ray:{version('ray')}-py311")
    assert prepared["available_node_types"]["gpu_worker"]["docker"]["worker_image"].endswith("-gpu")


def test_every_node_installs_the_wheel(prepared: dict[str, Any]) -> None:
    assert prepared["file_mounts"] == {"/home/ray/nclscreen": "dist"}
    for commands in (prepared["head_setup_commands"], prepared["worker_setup_commands"]):
        assert "pip install -c {0}/constraints.txt {0}/nclscreen-*.whl".format("/home/ray/nclscreen") in commands
    recipe = (ROOT / "Makefile").read_text()
    assert "--wheel-dir dist" in recipe
    assert "cp constraints.txt dist/" in recipe


def up_settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of the line that starts `up`."""
    (line,) = re.findall(r"^# +ray exec ray_cluster\.yaml '(.* nclscreen up)'", FILE.read_text(), flags=re.MULTILINE)
    *pairs, program, command = shlex.split(line)
    assert (program, command) == ("nclscreen", "up")
    for pair in pairs:
        name, _, value = pair.partition("=")
        monkeypatch.setenv(name, value)
    return Settings()


def test_up_gives_every_replica_work_and_the_cluster_has_the_place(
    written: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = up_settings(monkeypatch)
    replicas = hosting_options(settings).max_replicas
    assert replicas > 1
    workers = decoding_limits(settings).workers
    assert workers >= 2 * replicas, "decoding is slower than a GPU: one worker does not feed it"
    kinds = [kind for name, kind in written["available_node_types"].items() if name != "head"]
    cpus, gpus = (
        sum(kind["max_workers"] * kind["resources"].get(resource, 0) for kind in kinds) for resource in ("CPU", "GPU")
    )
    assert ray_options(settings).needed_cpus <= cpus
    assert replicas * settings.replica_gpus <= gpus
