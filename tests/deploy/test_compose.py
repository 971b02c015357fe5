"""`deploy/compose.yaml`: against the Compose Specification, and against the program that it starts."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pytest
from support.deployment.commands import check_command, program_of
from support.deployment.documents import DEPLOY, ROOT, Document, read
from support.deployment.schemas import NotValid, check_compose, with_typo

from nclscreen import __version__

TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
ENTRYPOINT = ["tini", "--", "nclscreen"]


@pytest.fixture
def written() -> Document:
    (found,) = read(DEPLOY / "compose.yaml")
    return found


@pytest.fixture
def services(written: Document) -> dict[str, Any]:
    found: dict[str, Any] = written["services"]
    return found


def test_it_follows_the_specification(written: Document) -> None:
    check_compose(written)


@pytest.mark.parametrize(
    "path",
    [
        ("services",),
        ("services", "web", "depends_on", "migrate", "condition"),
        ("services", "ray-head", "healthcheck", "start_period"),
        ("services", "dispatcher", "stop_grace_period"),
        ("services", "web", "build", "dockerfile"),
        ("services", "prometheus", "secrets", 0, "target"),
        ("services", "grafana", "logging", "driver"),
        ("secrets", "metrics_key", "file"),
    ],
    ids=lambda path: str(path[-1]),
)
def test_a_typo_is_refused(written: Document, path: tuple[str | int, ...]) -> None:
    with pytest.raises(NotValid):
        check_compose(with_typo(written, path))


def test_everything_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {
        *("postgres", "storage", "migrate", "ray-head", "ray-worker"),
        *("dispatcher", "web", "prometheus", "grafana"),
    }


def test_parts_start_once_what_they_need_is_healthy(services: dict[str, Any]) -> None:
    started: list[str] = []
    while len(started) < len(services):  # in an order that there is
        ready = [name for name in services if name not in started and set(needs(services[name])) <= set(started)]
        assert ready, f"{set(services) - set(started)} wait for each other"
        started += ready
    for service in services.values():
        for name, condition in needs(service).items():
            if condition == "service_completed_successfully":
                assert name == "migrate"
            else:
                assert condition == "service_healthy"
                assert_has_health_check(name, services[name])


def needs(service: dict[str, Any]) -> dict[str, str]:
    return {name: each["condition"] for name, each in service.get("depends_on", {}).items()}


def assert_has_health_check(name: str, service: dict[str, Any]) -> None:
    own = service.get("healthcheck")
    of_the_image = "build" in service and name in ("web", "dispatcher")  # they answer on port 8080
    assert (own is not None and "test" in own) or of_the_image, name


def test_containers_are_shut_in(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_only_this_machine_reaches_what_is_published(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 4
    for port in published:
        assert ipaddress.ip_address(port.split(":")[0]).is_loopback, port
    assert not any("6379" in port or "8265" in port for port in published), "Ray is nobody's business"


def test_secrets_have_no_default() -> None:
    """`${NAME:?...}` refuses to start without; `${NAME:-...}` would go on with what stands here."""
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|TOKEN|KEY)\w*)(.)(.)", TEXT)
    assert {name for name, _, _ in secrets} == secret_names()
    assert {(first, second) for _, first, second in secrets} == {(":", "?")}


def secret_names() -> set[str]:
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^(\w+)=$", example, flags=re.MULTILINE))


def test_the_example_has_every_variable_and_no_other() -> None:
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=", example, flags=re.MULTILINE)) == set(re.findall(r"\$\{(\w+)", TEXT))
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT):
        assert f"{name}={default}\n" in example


def test_ray_asks_for_a_token(services: dict[str, Any]) -> None:
    for name in ("ray-head", "ray-worker", "dispatcher"):
        assert services[name]["environment"]["RAY_AUTH_MODE"] == "token"
    ours = {each["environment"].get("RAY_AUTH_TOKEN") for each in services.values() if "environment" in each}
    assert len(ours - {None}) == 1


def test_programs_of_ours_write_logs_for_machines(services: dict[str, Any]) -> None:
    for name in ("web", "dispatcher"):
        assert services[name]["environment"]["NCLSCREEN_LOG_FORMAT"] == "json", name


def test_commands_exist(services: dict[str, Any]) -> None:
    ours = {name: each for name, each in services.items() if "build" in each}
    assert len(ours) == 5
    for service in ours.values():
        check_command(*program_of(service.get("entrypoint", ENTRYPOINT), service["command"]))


def test_images_are_pinned_and_ours_has_this_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "build" in service:
            assert service["image"] == f"${{NCLSCREEN_IMAGE:-nclscreen:{__version__}}}"
        else:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", service["image"]), name


def test_files_that_are_mounted_exist(services: dict[str, Any]) -> None:
    for service in services.values():
        for place in service.get("volumes", []):
            source = place.split(":")[0]
            if source.startswith("./") and not source.startswith("./grafana"):
                assert (DEPLOY / source).exists(), source
    context, file = (services["web"]["build"][each] for each in ("context", "dockerfile"))
    assert (DEPLOY / context).resolve() == ROOT
    assert (ROOT / file).is_file()


def test_addresses_are_names_of_services(services: dict[str, Any]) -> None:
    text = TEXT + (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    hosts = set(re.findall(r"(?:http://|@|--address=|\[\")([a-z-]+)(?::\d+|/nclscreen)", text))
    assert hosts >= {"storage", "postgres", "ray-head", "web"}
    assert hosts <= set(services)
