"""A look at the place of heatmaps from a worker on every node: whether it is there, the same, and can be written."""

from __future__ import annotations

from typing import Any

from jobs.domain import ImageKey
from jobs.errors import JobsError
from jobs.storage import ObjectStorage, S3Options, open_storage, parse_source

#: a node that does not answer for so long is told of
_NODE_S = 60.0
_NAME = "doctor.txt"


def look_from_here(storage: ObjectStorage, prefix: str, wanted: bytes, node: str) -> str | None:
    """What is wrong with the place as this node sees it; None for nothing. `wanted` is what another node wrote."""
    try:
        if storage.read(ImageKey(f"{prefix}{_NAME}"), max_bytes=1000) != wanted:
            return "another place than ours lies there"
        storage.write(ImageKey(f"{prefix}doctor-{node}.txt"), wanted, content_type="text/plain")
    except JobsError as error:
        return str(error)
    return None


def _look(uri: str, s3: S3Options, wanted: bytes, node: str) -> str | None:
    storage, prefix = place_of(uri, s3)
    return look_from_here(storage, prefix, wanted, node)


def place_of(uri: str, s3: S3Options) -> tuple[ObjectStorage, str]:
    """The storage, and what keys begin with."""
    parsed = parse_source(uri)
    return open_storage(parsed.container, s3), f"{parsed.prefix.rstrip('/')}/" if parsed.prefix else ""


def look_from_every_node(uri: str, s3: S3Options, wanted: bytes) -> dict[str, str | None]:
    """What is wrong with the place, by the node's address. For a process that is connected to a Ray cluster."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look: Any = ray.remote(num_cpus=0, max_retries=0)(_look)
    asked: dict[str, Any] = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
            asked[name] = look.options(scheduling_strategy=there).remote(uri, s3, wanted, node["NodeID"][:8])
    return {name: _answer(ray, ref) for name, ref in asked.items()}


def _answer(ray: Any, ref: Any) -> str | None:
    try:
        found: str | None = ray.get(ref, timeout=_NODE_S)
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever ails
        return f"no worker could look: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return found
