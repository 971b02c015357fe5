"""Names in the files of `deploy/`: each variable is known to whom it is for; and no secret is written down there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import botocore.configprovider
import pytest
from ray._private.authentication_test_utils import _AUTH_ENV_VARS
from support.deployment.documents import DEPLOY, K8S, OVERLAYS, ROOT, composed, containers, read

from nclscreen.settings import unknown_settings

#: what the images of others read, by their documents
_OTHERS = {
    *("POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"),
    *("GF_SECURITY_ADMIN_PASSWORD", "GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES"),
    "S3_BUCKET",
}
_AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} | {
    name for _, name, *_ in botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.values() if isinstance(name, str)
}
_PLACES = re.compile(r"postgresql://\w+:(?!\$\{|password@)[^@/\s]{3,}@")


def files() -> list[Path]:
    return [path for path in (ROOT / "ray_cluster.yaml", *DEPLOY.rglob("*")) if path.is_file() and path.name != ".env"]


def variables() -> Iterator[tuple[str, str]]:
    """(where, the name of a variable that is set there for a container)"""
    (compose,) = read(DEPLOY / "compose.yaml")
    for name, service in compose["services"].items():
        yield from ((f"compose {name}", each) for each in service.get("environment", {}))
    for overlay in OVERLAYS:
        for document in composed(K8S / "overlays" / overlay):
            if document["kind"] == "ConfigMap":
                yield from ((f"{overlay} {document['metadata']['name']}", each) for each in document["data"])
            for container in containers(document):
                yield from ((f"{overlay} {container['name']}", each["name"]) for each in container.get("env", []))
    for path in (K8S / "secrets").glob("*.example"):
        names = re.findall(r"^(\w+)=", path.read_text(), flags=re.MULTILINE)
        yield from ((path.name, each) for each in names if each != "auth_token")  # a file's name, not a variable
    for option in read(ROOT / "ray_cluster.yaml")[0]["docker"]["run_options"]:
        yield from (("ray_cluster.yaml", each) for each in re.findall(r"--env (\w+)", option))


def test_every_variable_is_known_to_somebody() -> None:
    found = list(variables())
    assert len(found) > 60
    assert unknown_settings(name for _, name in found) == []
    for where, name in found:
        if name.startswith("RAY_"):
            assert name in _AUTH_ENV_VARS, f"{where}: {name}"
        elif not name.startswith("NCLSCREEN_"):
            assert name in _OTHERS | _AWS, f"{where}: {name}"


def test_settings_in_the_documents_and_the_image_exist() -> None:
    for path in (*files(), ROOT / "docs" / "deploy.md"):
        names = set(re.findall(r"\bNCLSCREEN_[A-Z0-9_]+\b", path.read_text(encoding="utf-8"))) - {"NCLSCREEN_IMAGE"}
        assert unknown_settings(names) == [], path.name


def test_no_secret_is_written_down() -> None:
    for path in files():
        text = path.read_text(encoding="utf-8")
        assert not _PLACES.search(text), f"{path.name} has a password in an address"
        assert not re.search(r"\b(AKIA[A-Z0-9]{12,}|ncl_[0-9a-f]{12}\w*)", text), path.name
        assert not re.search(r"-----BEGIN|\b[0-9a-f]{40,}\b", text), path.name
    for path in (K8S / "secrets").glob("*.example"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert all(line.endswith("=") for line in lines if line), path.name
    for overlay in OVERLAYS:
        assert not [each for each in composed(K8S / "overlays" / overlay) if each["kind"] == "Secret"]


@pytest.fixture
def make_env() -> Any:
    spec = spec_from_file_location("make_env", DEPLOY / "make_env.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_installation_gets_secrets_of_its_own(make_env: Any, tmp_path: Path) -> None:
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    target = make_env.write(tmp_path, example)
    assert target.stat().st_mode & 0o777 == 0o600
    secrets = re.findall(r"^\w+=([0-9a-f]{48})$", target.read_text(), flags=re.MULTILINE)
    assert len(secrets) == len(set(secrets)) == example.count("=\n") == 5
    assert "PHOTOGRAPHS=./photographs\n" in target.read_text()
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "prometheus.key").read_text() == ""


def test_what_is_in_use_is_not_changed(make_env: Any, tmp_path: Path) -> None:
    make_env.write(tmp_path, "A=\n")
    before = (tmp_path / ".env").read_text()
    with pytest.raises(FileExistsError):
        make_env.write(tmp_path, "A=\n")
    assert (tmp_path / ".env").read_text() == before


def test_git_ignores_what_is_filled_in() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/.env", "deploy/secrets/", "deploy/k8s/secrets/*.env"} <= set(ignored)
