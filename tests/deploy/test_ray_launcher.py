"""`ray_cluster.yaml` with the patches in `deploy/ray`, as Ray would read them; its AWS is in test_ray_cluster.py."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from support.deployment.commands import check_command
from support.deployment.documents import DEPLOY, ROOT, Document
from support.deployment.schemas import NotValid, check_ray_launcher, with_typo

PATCHES = {"aws": [], "gcp": ["gcp.yaml"], "on premise": ["on_premise.yaml"]}
#: fields of Compute Engine's instances.insert that the patch uses; Ray hands a node's fields on as they are
_COMPUTE_ENGINE = {"machineType", "disks", "scheduling", "metadata"}


def load_merge() -> Any:
    spec = spec_from_file_location("merge", DEPLOY / "ray" / "merge.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MERGE = load_merge()


@pytest.fixture(params=PATCHES)
def merged(request: pytest.FixtureRequest) -> Document:
    paths = [ROOT / "ray_cluster.yaml", *(DEPLOY / "ray" / name for name in PATCHES[request.param])]
    found: Document = MERGE.merged_files(paths)
    return found


def test_ray_accepts_it(merged: Document) -> None:
    check_ray_launcher(merged)
    validate_config(prepare_config(merged))


@pytest.mark.parametrize(
    "path",
    [("max_workers",), ("provider", "type"), ("auth", "ssh_user"), ("docker", "worker_image"), ("file_mounts",)],
    ids="/".join,
)
def test_a_typo_is_refused(merged: Document, path: tuple[str, ...]) -> None:
    with pytest.raises(NotValid):
        check_ray_launcher(with_typo(merged, path))


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_a_typo_in_a_kind_of_node_is_refused(name: str) -> None:
    document = MERGE.merged_files([ROOT / "ray_cluster.yaml", *(DEPLOY / "ray" / each for each in PATCHES[name])])
    with pytest.raises(NotValid):
        check_ray_launcher(with_typo(document, ("available_node_types", "cpu_worker", "max_workers")))


def test_every_machine_of_google_has_google_s_fields_alone() -> None:
    document = MERGE.merged_files([ROOT / "ray_cluster.yaml", DEPLOY / "ray" / "gcp.yaml"])
    for name, kind in document["available_node_types"].items():
        assert kind["node_config"].keys() <= _COMPUTE_ENGINE, name
        assert kind["node_config"]["machineType"].startswith(("n2-", "g2-"))


def test_commands_of_ray_exist(merged: Document) -> None:
    prepared = prepare_config(merged)
    for command in (*prepared["head_start_ray_commands"], *prepared["worker_start_ray_commands"]):
        assert command.startswith("ray ")
        check_command("ray", command.split()[1:])


def test_own_machines_are_a_head_and_workers() -> None:
    prepared = prepare_config(MERGE.merged_files([ROOT / "ray_cluster.yaml", DEPLOY / "ray" / "on_premise.yaml"]))
    assert set(prepared["provider"]) == {"type", "head_ip", "worker_ips"}
    assert prepared["max_workers"] == len(prepared["provider"]["worker_ips"])


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # of RFC 7396's appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_are_laid_over_as_the_rfc_says(target: Any, patch: Any, result: Any) -> None:
    before = yaml.safe_dump(target)
    assert MERGE.merged(target, patch) == result
    assert yaml.safe_dump(target) == before
