"""`docs/deploy.md`, line by line: its commands, services and names are those of the files."""

from __future__ import annotations

import re

from support.deployment.commands import check_command
from support.deployment.documents import DEPLOY, K8S, OVERLAYS, ROOT, composed, read

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
LINES = re.findall(r"^    (\S.*)$", PAGE, flags=re.MULTILINE)


def test_what_is_run_in_containers_of_compose_exists() -> None:
    (compose,) = read(DEPLOY / "compose.yaml")
    found = [re.match(r"docker compose (exec|run --rm -T) (\S+) (.*)", line) for line in LINES]
    matches = [each for each in found if each is not None]
    assert len(matches) >= 5
    for how, service, rest in (each.groups() for each in matches):
        assert service in compose["services"]
        words = rest.split(">")[0].split()
        assert how != "exec" or words.pop(0) == "nclscreen"
        check_command("nclscreen", words)


def test_what_is_asked_of_kubernetes_exists() -> None:
    short = {"deploy": "Deployment", "svc": "Service"}
    for overlay in OVERLAYS:
        names = {(each["kind"], each["metadata"]["name"]) for each in composed(K8S / "overlays" / overlay)}
        for kind, name in re.findall(r"\b(deploy|svc)/(nclscreen[\w-]*)", "\n".join(LINES)):
            assert (short[kind], name) in names
        for kind, name in re.findall(r"`(\w+)/(nclscreen[\w-]*)`", PAGE):
            assert (kind, name) in names
    for path in re.findall(r"kubectl apply -[kf] (\S+)", PAGE):
        assert (K8S / path).exists()
    for line in LINES:
        if "kubectl" in line and "--" in line.split():
            check_command("nclscreen", line.split(" -- ")[1].split()[1:])


def test_files_that_are_started_exist() -> None:
    for name in re.findall(r"python deploy/ray/merge\.py (\S+) (\S+)", PAGE):
        assert all((ROOT / each).is_file() for each in name)
    assert (DEPLOY / "make_env.py").is_file()
