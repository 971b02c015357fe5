"""NetworkPolicies, read as Kubernetes does: who may open a connection to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: the label that Kubernetes gives every namespace
_NAMESPACE = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A pod, or with no namespace somebody outside of the cluster."""

    namespace: str | None
    labels: dict[str, str] = field(default_factory=dict)


def may_connect(policies: Iterable[dict[str, Any]], source: Peer, target: Peer, port: int | str) -> bool:
    """Whether all these policies of the namespace nclscreen let it pass, at both ends. TCP; a port may be a name."""
    policies = list(policies)
    leaves = _passes(policies, source, "Egress", "to", target, port)
    return leaves and _passes(policies, target, "Ingress", "from", source, port)


def _passes(policies: list[dict[str, Any]], pod: Peer, direction: str, end: str, other: Peer, port: int | str) -> bool:
    specs = [each["spec"] for each in policies if pod.namespace == "nclscreen"]
    held = [each for each in specs if direction in each["policyTypes"] and _selects(each["podSelector"], pod.labels)]
    rules = [rule for each in held for rule in each.get(direction.lower(), [])]
    return not held or any(_rule_allows(rule, end, other, port) for rule in rules)


def _rule_allows(rule: dict[str, Any], end: str, other: Peer, port: int | str) -> bool:
    ports = [each["port"] for each in rule.get("ports", []) if each["protocol"] == "TCP"]
    if "ports" in rule and port not in ports:
        return False
    return end not in rule or any(_is(peer, other) for peer in rule[end])


def _is(peer: dict[str, Any], other: Peer) -> bool:
    if unknown := peer.keys() - {"podSelector", "namespaceSelector"}:
        raise ValueError(f"not read here: {sorted(unknown)}")
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        fits = _selects(peer["namespaceSelector"], {_NAMESPACE: other.namespace})
    else:
        fits = other.namespace == "nclscreen"
    return fits and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for each in selector.get("matchExpressions", []):
        if each["operator"] != "In":
            raise ValueError(f"not read here: {each['operator']}")
        if labels.get(each["key"]) not in each["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()
