"""What the settings ask of a Ray cluster: where it is, how models are hosted on it, what its workers may spend."""

from __future__ import annotations

import math
import os

from ncl_model.distributed.node_labels import parse_labels
from ncl_model.imaging.guarded_decoding import DecodingLimits
from nclscreen.hosting.applications import HostingOptions
from nclscreen.hosting.ray_connection import RayOptions
from nclscreen.settings import Settings

#: shards decode for the replicas: two make a worker, which has the next batch ready while one is scored; a core decodes
#: about 30 photographs a second, so that twelve keep up with a GPU that scores 350
_SHARDS_A_REPLICA, _SHARDS_A_GPU = 2, 12


def most_replicas(settings: Settings) -> int:
    """Replicas of a model when there is much to do."""
    return max(settings.replicas, settings.max_replicas or 0)


def shards_in_flight(settings: Settings) -> int:
    """Shards being screened at once, over all workers: unless told, enough for all replicas to have work."""
    if settings.shards_in_flight is not None:
        return settings.shards_in_flight
    # parts of a GPU are shared by as many replicas; one computes on one GPU, however many it reserves
    on_gpus = math.ceil(_SHARDS_A_GPU * min(settings.replica_gpus, 1.0))
    return most_replicas(settings) * max(_SHARDS_A_REPLICA, on_gpus)


def ray_options(settings: Settings, *, models: int = 1) -> RayOptions:
    """Which Ray to use, with CPUs for so many hosted models."""
    # whole workers
    shards = math.ceil(shards_in_flight(settings) / settings.shards_per_worker) * settings.shards_per_worker
    replicas = models * most_replicas(settings)
    wanted = replicas * settings.replica_cpus + shards * settings.shard_cpus
    return RayOptions(address=settings.ray_address, needed_cpus=wanted, token_file=settings.home / "ray_token")


def hosting_options(settings: Settings) -> HostingOptions:
    """How each model is hosted."""
    local = settings.ray_address is None
    threads = settings.replica_threads or ((os.cpu_count() or 1) if local else max(1, round(settings.replica_cpus)))
    return HostingOptions(
        replicas=settings.replicas,
        max_replicas=most_replicas(settings),
        cpus=settings.replica_cpus,
        gpus=settings.replica_gpus,
        threads=threads,
        labels=parse_labels(settings.replica_labels or ""),
    )


def decoding_limits(settings: Settings) -> DecodingLimits:
    """What a screening worker may spend on decoding."""
    return DecodingLimits(
        max_pixels=settings.max_pixels,
        memory_bytes=settings.decode_memory_bytes,
        deadline_s=settings.decode_deadline_s,
        processes=max(1, settings.fetchers // 2),
        workers=math.ceil(shards_in_flight(settings) / settings.shards_per_worker),
        worker_cpus=settings.shards_per_worker * settings.shard_cpus,
    )
