"""The schemas that the files of `deploy/` are held against, without any network; unknown fields are refused."""

from __future__ import annotations

import copy
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import check_jsonschema.builtin_schemas
import kubernetes_validate
import ray.autoscaler
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

#: Kubernetes as the files are written for it; fields that came later are unknown to it
KUBERNETES = "1.33.0"
_RAY_CLUSTER = Path(__file__).resolve().parents[2] / "deploy" / "schemas" / "raycluster.json"
#: where the schemas of Kubernetes refer to each other
_DEFINITIONS = "/api/_definitions.json"


class NotValid(Exception):
    """A document does not follow its schema."""


def check_kubernetes(document: dict[str, Any]) -> None:
    """Raises NotValid; a RayCluster is held against KubeRay's fields, its pods against Kubernetes' own."""
    if document.get("apiVersion") == "ray.io/v1":
        _check(_ray_cluster(), document)
        return
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, KeyError) as error:
        raise NotValid(getattr(error, "message", str(error))) from None


def check_compose(document: dict[str, Any]) -> None:
    """The Compose Specification's own schema. Raises NotValid."""
    _check(Draft202012Validator(_compose()), document)


def check_ray_launcher(document: dict[str, Any]) -> None:
    """Ray's own schema, with what it leaves open closed. Raises NotValid."""
    _check(Draft7Validator(_ray_launcher()), document)


def _check(validator: Validator, document: dict[str, Any]) -> None:
    for error in validator.iter_errors(document):
        raise NotValid(f"{'/'.join(map(str, error.absolute_path))}: {error.message}")


@cache
def _compose() -> dict[str, Any]:
    written = files(check_jsonschema.builtin_schemas) / "vendor" / "compose-spec.json"
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return found


@cache
def _ray_launcher() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(ray.autoscaler) / "ray-schema.json").read_text(encoding="utf-8"))
    # Ray lets any field of a provider and of a kind of node pass, so that providers of others can have theirs; of ours
    # each is one that Ray names
    fields = found["properties"]
    fields["provider"]["additionalProperties"] = False
    fields["available_node_types"]["patternProperties"][".*"]["additionalProperties"] = False
    return found


@cache
def _ray_cluster() -> Validator:
    folder = files(kubernetes_validate) / "kubernetes-json-schema" / f"v{KUBERNETES}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    resource: Resource[Any] = Resource.from_contents(definitions, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_DEFINITIONS, resource)
    schema = json.loads(_RAY_CLUSTER.read_text(encoding="utf-8"))
    return Draft202012Validator(schema, registry=registry)


def with_typo(document: Any, path: tuple[str | int, ...]) -> Any:
    """A copy in which the last name of the path has a letter too many. Raises KeyError where there is no such place."""
    spoilt = copy.deepcopy(document)
    place = spoilt
    for step in path[:-1]:
        place = place[step]
    place[f"{path[-1]}x"] = place.pop(path[-1])
    return spoilt
