"""The model on Ray Serve: up and down."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jobs.errors import JobsError
from nclscreen.hosting.ray_connection import RayOptions, connected_ray
from nclscreen.hosting.replica import Localizer

logger = logging.getLogger(__name__)

APP_NAME = "localizer"
#: how long a replica may take to finish what it was given
_TAKE_DOWN_S = 30.0
#: batches a replica has accepted and not answered; more wait at the callers
MAX_ONGOING_REQUESTS = 4
#: with more batches than this under way per replica, there are to be more replicas, if there may be
_TARGET_ONGOING_REQUESTS = 2


class HostingFailed(JobsError):
    """Ray Serve could not bring the model up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosting:
    """How the model is hosted."""

    weights: str | None
    precision: str
    replicas: int = 1
    #: above `replicas`: Serve adds replicas up to this while batches wait, and takes them away again
    max_replicas: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    #: CPU threads of one replica
    threads: int = os.cpu_count() or 1


def _replicas(hosting: Hosting) -> dict[str, Any]:
    if hosting.max_replicas <= hosting.replicas:
        return {"num_replicas": hosting.replicas}
    autoscaling = {
        "min_replicas": hosting.replicas,
        "max_replicas": hosting.max_replicas,
        "target_ongoing_requests": _TARGET_ONGOING_REQUESTS,
    }
    return {"autoscaling_config": autoscaling}


def build_app(hosting: Hosting) -> Any:
    """The Serve application, ready for `serve.run`."""
    from ray import serve

    deployment = serve.deployment(Localizer).options(
        name="Localizer",
        **_replicas(hosting),
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        ray_actor_options={"num_cpus": hosting.cpus, "num_gpus": hosting.gpus},
        user_config={
            "weights": hosting.weights,
            "precision": hosting.precision,
            "threads": hosting.threads,
            "device": "cuda" if hosting.gpus else "cpu",
        },
        health_check_period_s=5,
        health_check_timeout_s=30,
        graceful_shutdown_timeout_s=2,
    )
    return deployment.bind()


class HostedHere:
    """A `jobs.ports.ModelHost` of one model that is up all the time."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    def ready(self) -> tuple[str]:
        return (self._fingerprint,)


@contextmanager
def ray_runtime(options: RayOptions, hosting: Hosting) -> Iterator[None]:
    """Connect to Ray, host the model, and take both down again as far as they are ours.

    Raises ClusterUnreachable when the address does not answer, HostingFailed when the model does not come up.
    """
    from ray import serve

    with connected_ray(options):
        ours = options.address is None or APP_NAME not in serve.status().applications
        try:
            _host(serve, hosting)
            yield
        finally:
            if options.address is not None and ours:
                take_down(serve)  # a local Ray ends as a whole, with everything on it


def keep_hosted(hosting: Hosting) -> None:
    """Bring the model up again where it is not hosted any more; what goes wrong is logged, for the next look.

    On a cluster with several dispatchers, the one that brought the model up takes it down when it ends.
    """
    from ray import serve
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        if APP_NAME not in serve.status().applications:
            logger.warning("the model is not hosted any more; bringing it up again")
            _host(serve, hosting)
    except (HostingFailed, RayError, RayServeException) as error:
        logger.warning("the model cannot be looked after: %s", error)


def take_down(serve: Any) -> None:
    """Host the model no more; wait until it is gone, or another dispatcher has brought it up again already.

    `serve.delete` by itself looks for its absence once a second, for a minute in vain where it came back in between.
    """
    before = _hosted_since(serve)
    serve.delete(APP_NAME, _blocking=False)
    deadline = time.monotonic() + _TAKE_DOWN_S
    while before is not None and _hosted_since(serve) == before:
        if time.monotonic() > deadline:
            logger.warning("the model takes long to end; Ray goes on with that")
            return
        time.sleep(0.1)


def _hosted_since(serve: Any) -> float | None:
    """When the model that is hosted now was deployed, in seconds since the epoch; None where none is."""
    app = serve.status().applications.get(APP_NAME)
    return None if app is None else float(app.last_deployed_time_s)


def _host(serve: Any, hosting: Hosting) -> None:
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # no HTTP: shard workers use handles
        serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
        try:
            serve.run(build_app(hosting), name=APP_NAME, route_prefix=None)
        except RuntimeError as error:
            raise HostingFailed(f"Ray Serve could not start the model: {error}; 'nclscreen doctor' may tell") from error
