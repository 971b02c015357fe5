"""The files of `deploy/`, read: YAML documents, and what kustomize would make of the overlays."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
K8S = DEPLOY / "k8s"
OVERLAYS = ("small", "gpu")
#: what the builder below knows of kustomize; anything else is refused, so that it cannot be left out in silence
_KNOWN = {"apiVersion", "kind", "namespace", "labels", "resources", "images", "patches"}

Document = dict[str, Any]


def read(path: Path) -> list[Document]:
    """Every document of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]


def composed(folder: Path) -> list[Document]:
    """The documents of a kustomization: resources, labels, namespace, JSON patches, images."""
    (written,) = read(folder / "kustomization.yaml")
    if unknown := written.keys() - _KNOWN:
        raise ValueError(f"{folder.name}: this builder does not know {sorted(unknown)}")
    if not all(each.keys() == {"target", "path"} for each in written.get("patches", [])):
        raise ValueError(f"{folder.name}: this builder knows patches with a target and a path")
    if not all(each.keys() == {"name", "newName", "newTag"} for each in written.get("images", [])):
        raise ValueError(f"{folder.name}: this builder knows images with name, newName and newTag")
    documents = [each for name in written["resources"] for each in _resource(folder / name)]
    for patch in written.get("patches", []):
        documents = [_patched(each, patch, folder) for each in documents]
    for document in documents:
        _place(document, written)
        _name_images(document, {each["name"]: each for each in written.get("images", [])})
    return documents


def _resource(path: Path) -> list[Document]:
    return composed(path.resolve()) if path.is_dir() else copy.deepcopy(read(path))


def _patched(document: Document, patch: Document, folder: Path) -> Document:
    target = patch["target"]
    if (document["kind"], document["metadata"]["name"]) != (target["kind"], target["name"]):
        return document
    (operations,) = read(folder / patch["path"])
    patched: Document = jsonpatch.JsonPatch(operations).apply(document)
    return patched


def _place(document: Document, written: Document) -> None:
    metadata = document["metadata"]
    if "namespace" in written and document["kind"] != "Namespace":
        metadata["namespace"] = written["namespace"]
    for labels in written.get("labels", []):
        metadata["labels"] = metadata.get("labels", {}) | labels["pairs"]


def _name_images(document: Document, images: dict[str, Document]) -> None:
    for container in containers(document):
        if (found := images.get(container["image"])) is not None:
            container["image"] = f"{found['newName']}:{found['newTag']}"


def containers(document: Any) -> Iterator[Document]:
    """All containers of a document, wherever its pods are described."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("containers", "initContainers"):
                yield from value
            else:
                yield from containers(value)
    elif isinstance(document, list):
        for each in document:
            yield from containers(each)


def pods(document: Any) -> Iterator[Document]:
    """All descriptions of pods in a document (`PodSpec`)."""
    if isinstance(document, dict):
        if "containers" in document:
            yield document
        for value in document.values():
            yield from pods(value)
    elif isinstance(document, list):
        for each in document:
            yield from pods(each)
