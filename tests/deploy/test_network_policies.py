"""Who reaches whom on Kubernetes, by the policies of `deploy/k8s`, with the labels that the pods have."""

from __future__ import annotations

from typing import Any

import pytest
from support.deployment.documents import K8S, composed
from support.deployment.network import Peer, may_connect

DOCUMENTS = composed(K8S / "overlays" / "gpu")
POLICIES = [each for each in DOCUMENTS if each["kind"] == "NetworkPolicy"]


def labels(kind: str, name: str) -> dict[str, str]:
    (found,) = [each for each in DOCUMENTS if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    template: dict[str, Any] = found["spec"]["template"]
    return template["metadata"]["labels"]


def ray(template: dict[str, Any], kind: str) -> dict[str, str]:
    """As KubeRay completes them."""
    added = {"ray.io/node-type": kind, "app.kubernetes.io/name": "kuberay"}
    return added | template["metadata"]["labels"]


CLUSTER = next(each for each in DOCUMENTS if each["kind"] == "RayCluster")["spec"]
PEERS = {
    "web": Peer(namespace="nclscreen", labels=labels("Deployment", "nclscreen-web")),
    "dispatcher": Peer(namespace="nclscreen", labels=labels("Deployment", "nclscreen-dispatcher")),
    "migrate": Peer(namespace="nclscreen", labels=labels("Job", "nclscreen-migrate")),
    "head": Peer(namespace="nclscreen", labels=ray(CLUSTER["headGroupSpec"]["template"], "head")),
    "worker": Peer(namespace="nclscreen", labels=ray(CLUSTER["workerGroupSpecs"][0]["template"], "worker")),
    "gpu worker": Peer(namespace="nclscreen", labels=ray(CLUSTER["workerGroupSpecs"][1]["template"], "worker")),
    "stranger here": Peer(namespace="nclscreen"),
    "stranger": Peer(namespace="default"),
    "ingress": Peer(namespace="ingress-nginx"),
    "prometheus": Peer(namespace="monitoring"),
    "dns": Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    "outside": Peer(namespace=None),
}


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *((each, "outside", 5432) for each in ("web", "dispatcher", "migrate")),
        *((each, "outside", 443) for each in ("web", "dispatcher", "worker", "gpu worker", "head")),
        *((each, "dns", 53) for each in ("web", "dispatcher", "migrate", "worker", "head")),
        *((each, "head", 6379) for each in ("dispatcher", "worker", "gpu worker")),
        *((each, "worker", 40123) for each in ("dispatcher", "head", "gpu worker")),
        ("worker", "dispatcher", 40123),
        ("head", "outside", 6443),
        ("ingress", "web", "http"),
        ("prometheus", "web", "http"),
        ("prometheus", "worker", 8080),
        ("prometheus", "head", 8080),
    ],
)
def test_who_needs_it_gets_through(source: str, target: str, port: int | str) -> None:
    assert may_connect(POLICIES, PEERS[source], PEERS[target], port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *((each, "outside", 5432) for each in ("worker", "gpu worker", "head", "stranger here")),
        *((each, "head", 6379) for each in ("web", "migrate", "stranger", "stranger here", "ingress", "outside")),
        *((each, "head", 8265) for each in ("web", "stranger", "ingress", "prometheus", "outside")),
        *((each, "web", "http") for each in ("stranger", "stranger here", "worker", "dispatcher", "outside")),
        *((each, "dispatcher", 8080) for each in ("web", "stranger", "ingress", "prometheus")),
        *((each, "outside", 80) for each in ("web", "dispatcher", "worker")),
        *((each, "outside", 6443) for each in ("web", "dispatcher", "worker")),
        ("ingress", "worker", 8080),
        ("web", "worker", 40123),
        ("migrate", "dispatcher", 40123),
    ],
)
def test_nobody_else_does(source: str, target: str, port: int | str) -> None:
    assert not may_connect(POLICIES, PEERS[source], PEERS[target], port)
