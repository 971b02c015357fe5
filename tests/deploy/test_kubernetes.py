"""`deploy/k8s`: the documents that the overlays make, against the schemas of Kubernetes and KubeRay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.deployment.commands import check_command, program_of
from support.deployment.documents import K8S, OVERLAYS, ROOT, Document, composed, containers, pods, read
from support.deployment.schemas import NotValid, check_kubernetes, with_typo

from nclscreen import __version__
from nclscreen.api.health import router
from nclscreen.cluster_options import most_replicas, ray_options, shards_in_flight
from nclscreen.settings import Settings

#: as the Dockerfile has it
ENTRYPOINT = ["tini", "--", "nclscreen"]


def named(documents: list[Document], kind: str, name: str) -> Document:
    (found,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.fixture(params=OVERLAYS)
def documents(request: pytest.FixtureRequest) -> list[Document]:
    return composed(K8S / "overlays" / request.param)


def test_every_document_is_valid(documents: list[Document]) -> None:
    for document in documents:
        check_kubernetes(document)
    assert len({(each["kind"], each["metadata"]["name"]) for each in documents}) == len(documents) >= 16


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("Namespace", "nclscreen", ("metadata", "labels")),
        ("ConfigMap", "nclscreen-storage", ("data",)),
        ("ServiceAccount", "nclscreen", ("automountServiceAccountToken",)),
        ("Job", "nclscreen-migrate", ("spec", "template", "spec", "containers", 0, "securityContext", "capabilities")),
        ("Deployment", "nclscreen-dispatcher", ("spec", "template", "spec", "containers", 0, "livenessProbe", "exec")),
        ("Deployment", "nclscreen-web", ("spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet")),
        ("Service", "nclscreen-web", ("spec", "ports", 0, "targetPort")),
        ("PodDisruptionBudget", "nclscreen-web", ("spec", "minAvailable")),
        ("NetworkPolicy", "web", ("spec", "ingress", 0, "from", 0, "namespaceSelector")),
        ("RayCluster", "nclscreen", ("spec", "authOptions", "secretName")),
        ("RayCluster", "nclscreen", ("spec", "workerGroupSpecs", 0, "maxReplicas")),
        ("RayCluster", "nclscreen", ("spec", "autoscalerOptions", "securityContext", "capabilities", "drop")),
        ("RayCluster", "nclscreen", ("spec", "headGroupSpec", "template", "spec", "containers", 0, "resources")),
    ],
    ids=lambda value: str(value[-1]) if isinstance(value, tuple) else str(value),
)
def test_a_typo_is_refused(documents: list[Document], kind: str, name: str, path: tuple[str | int, ...]) -> None:
    document = named(documents, kind, name)
    with pytest.raises(NotValid):
        check_kubernetes(with_typo(document, path))


def test_kustomize_makes_the_same_of_them(documents: list[Document], request: pytest.FixtureRequest) -> None:
    """The small builder of these tests stands in for it elsewhere."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which has kustomize in it, is not installed here")
    overlay = K8S / "overlays" / request.node.callspec.params["documents"]
    done = subprocess.run([kubectl, "kustomize", overlay], check=True, capture_output=True, text=True, timeout=60)

    def by_name(each: Document) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(yaml.safe_load_all(done.stdout), key=by_name) == sorted(documents, key=by_name)


def test_containers_are_shut_in(documents: list[Document]) -> None:
    found = [each for document in documents for each in pods(document)]
    assert len(found) >= 5
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"/tmp", "/state"} <= {each["mountPath"] for each in container["volumeMounts"]}
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}


def test_nothing_but_the_autoscaler_may_ask_kubernetes(documents: list[Document]) -> None:
    for document in documents:
        for pod in pods(document):
            names = {each["name"] for each in pod["containers"]}
            if names == {"ray-head"}:  # KubeRay makes an account for it
                assert "serviceAccountName" not in pod
            else:
                assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("nclscreen", False), names


def test_what_is_referred_to_exists(documents: list[Document]) -> None:
    settings = {each["metadata"]["name"] for each in documents if each["kind"] == "ConfigMap"}
    (secrets_file,) = read(K8S / "secrets" / "kustomization.yaml")
    secrets = {each["name"]: each["envs"] for each in secrets_file["secretGenerator"]}
    for container in (each for document in documents for each in containers(document)):
        for source in container.get("envFrom", []):
            assert source.get("configMapRef", {"name": None})["name"] in {None, *settings}
            assert source.get("secretRef", {"name": None})["name"] in {None, *secrets}
    cluster = named(documents, "RayCluster", "nclscreen")
    assert cluster["spec"]["authOptions"] == {"mode": "token", "secretName": "nclscreen-ray"}
    for files in secrets.values():
        assert all((K8S / "secrets" / f"{name}.example").is_file() for name in files)
    assert keys("nclscreen-ray", secrets) == {"auth_token"}  # the name that KubeRay looks for


def keys(secret: str, secrets: dict[str, list[str]]) -> set[str]:
    lines = (K8S / "secrets" / f"{secrets[secret][0]}.example").read_text().splitlines()
    return {line.partition("=")[0] for line in lines if line and not line.startswith("#")}


def test_selectors_find_their_pods(documents: list[Document]) -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in documents if each["kind"] == "Deployment"]

    def found(selector: dict[str, str]) -> bool:
        return any(selector.items() <= each.items() for each in labels)

    for document in documents:
        if document["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert found(document["spec"]["selector"]["matchLabels"])
        if document["kind"] == "Service":
            assert found(document["spec"]["selector"])
    budget, web = (named(documents, kind, "nclscreen-web")["spec"] for kind in ("PodDisruptionBudget", "Deployment"))
    assert budget["minAvailable"] < web["replicas"], "nodes could never be drained"


def test_probes_ask_what_is_answered(documents: list[Document]) -> None:
    routes = {route.path for route in router.routes}  # type: ignore[attr-defined]
    (web,) = named(documents, "Deployment", "nclscreen-web")["spec"]["template"]["spec"]["containers"]
    asked = {web[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"/healthz", "/readyz"} <= routes
    assert str(web["ports"][0]["containerPort"]) == web["args"][-1]
    assert named(documents, "Service", "nclscreen-web")["spec"]["ports"][0]["targetPort"] == web["ports"][0]["name"]


def commands(documents: list[Document]) -> Iterator[tuple[str, list[str]]]:
    for container in (each for document in documents for each in containers(document)):
        if not container["name"].startswith("ray-"):  # KubeRay writes those
            yield program_of(container.get("command", ENTRYPOINT), container["args"])


def test_commands_exist(documents: list[Document]) -> None:
    found = list(commands(documents))
    assert len(found) == 5
    for program, words in found:
        check_command(program, words)


def test_programs_of_ours_write_logs_for_machines(documents: list[Document]) -> None:
    assert named(documents, "ConfigMap", "nclscreen-programs")["data"]["NCLSCREEN_LOG_FORMAT"] == "json"
    for name in ("web", "dispatcher"):
        (container,) = named(documents, "Deployment", f"nclscreen-{name}")["spec"]["template"]["spec"]["containers"]
        assert {"configMapRef": {"name": "nclscreen-programs"}} in container["envFrom"], name


def test_the_dispatcher_joins_this_cluster(documents: list[Document]) -> None:
    cluster = named(documents, "RayCluster", "nclscreen")
    (container,) = named(documents, "Deployment", "nclscreen-dispatcher")["spec"]["template"]["spec"]["containers"]
    # what KubeRay calls the service of a head
    assert container["args"][0] == f"{cluster['metadata']['name']}-head-svc:6379"
    assert cluster["spec"]["rayVersion"] in (ROOT / "constraints.txt").read_text()


def test_images_have_this_version_and_one_place(documents: list[Document]) -> None:
    images = {each["image"] for document in documents for each in containers(document)}
    assert images <= {f"registry.example.org/nclscreen:{__version__}{build}" for build in ("", "-gpu")}


def groups(overlay: str) -> dict[str, Any]:
    cluster = named(composed(K8S / "overlays" / overlay), "RayCluster", "nclscreen")
    assert cluster["spec"]["enableInTreeAutoscaling"] is True
    return {each["groupName"]: each for each in cluster["spec"]["workerGroupSpecs"]}


def test_workers_of_each_kind_come_and_go() -> None:
    assert set(groups("small")) == {"cpu"}
    assert set(groups("gpu")) == {"cpu", "gpu"}
    assert groups("gpu")["cpu"]["priority"] > groups("gpu")["gpu"].get("priority", 0)
    for group in (*groups("small").values(), *groups("gpu").values()):
        assert group["minReplicas"] < group["maxReplicas"]
    (worker,) = groups("gpu")["gpu"]["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert worker["image"].endswith("-gpu")
    settings = named(composed(K8S / "overlays" / "gpu"), "ConfigMap", "nclscreen-dispatcher")["data"]
    assert settings["NCLSCREEN_REPLICA_GPUS"] == "1"
    assert int(settings["NCLSCREEN_MAX_REPLICAS"]) <= groups("gpu")["gpu"]["maxReplicas"]


@pytest.mark.parametrize(("overlay", "shards"), [("small", 4), ("gpu", 96)])
def test_replicas_have_work_and_the_cluster_has_the_place(
    overlay: str, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in named(composed(K8S / "overlays" / overlay), "ConfigMap", "nclscreen-dispatcher")["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert shards_in_flight(settings) == shards >= 2 * most_replicas(settings)
    cpus = 0
    for group in groups(overlay).values():
        (worker,) = group["template"]["spec"]["containers"]
        cpus += group["maxReplicas"] * int(worker["resources"]["limits"]["cpu"])
    assert ray_options(settings).needed_cpus <= cpus


@pytest.mark.parametrize("word", ["resources", "patches", "images", "target", "path", "newTag", "newName"])
def test_a_typo_in_a_kustomization_is_refused(tmp_path: Path, word: str) -> None:
    text = (K8S / "overlays" / "gpu" / "kustomization.yaml").read_text()
    assert word in text
    (tmp_path / "kustomization.yaml").write_text(text.replace(word, f"{word}x", 1))
    with pytest.raises((ValueError, KeyError)):
        composed(tmp_path)


def test_the_secrets_are_made_by_kustomize_with_these_keys(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which has kustomize in it, is not installed here")
    for path in (K8S / "secrets").iterdir():
        shutil.copy(path, tmp_path / path.name.removesuffix(".example"))
    done = subprocess.run([kubectl, "kustomize", tmp_path], check=True, capture_output=True, text=True, timeout=60)
    made = {each["metadata"]["name"]: each for each in yaml.safe_load_all(done.stdout)}
    assert set(made) == {"nclscreen-database", "nclscreen-storage", "nclscreen-ray"}
    for document in made.values():
        check_kubernetes(document)
    assert made["nclscreen-storage"]["data"].keys() == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
