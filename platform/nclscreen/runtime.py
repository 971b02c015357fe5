"""Ray and Ray Serve up and down: a local one that lives as long as we do, or a cluster that was there before."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from jobs.errors import JobsError
from nclscreen.interrupts import uninterrupted
from nclscreen.localizer import APP_NAME, Hosting, build_app

logger = logging.getLogger(__name__)

#: how long a replica may take to finish what it was given
_TAKE_DOWN_S = 30.0
#: how long Ray's processes may take to end by themselves
_LINGER_S = 5.0


class ClusterUnreachable(JobsError):
    """No Ray cluster answers at the address given."""


class HostingFailed(JobsError):
    """Ray Serve could not bring the model up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeOptions:
    """Which Ray to use."""

    #: None: a local one of our own
    address: str | None
    #: what replicas and shards reserve together
    needed_cpus: float

    @property
    def local_cpus(self) -> int:
        """Logical CPUs of a local Ray; more than there are cores is fine."""
        return max(os.cpu_count() or 1, math.ceil(self.needed_cpus))


@contextmanager
def ray_runtime(options: RuntimeOptions, hosting: Hosting) -> Iterator[None]:
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


@contextmanager
def connected_ray(options: RuntimeOptions) -> Iterator[None]:
    """Ray alone: a local one of our own, or a connection to a cluster. Raises ClusterUnreachable."""
    import ray

    before = set(psutil.Process().children())
    rays: set[psutil.Process] = set()
    try:
        try:
            with _own_sigterm():
                _connect(ray, options)
        finally:
            # whatever else this process starts, before or after, is not Ray's and not ours to end
            rays = set(psutil.Process().children()) - before
        yield
    finally:
        with uninterrupted():
            started = [*rays, *_descendants(rays)] if options.address is None else []
            ray.shutdown()
            _see_off(started)


def _connect(ray: Any, options: RuntimeOptions) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a screening recorder's machines do not phone home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default; silences its warning
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if options.address is None:
        ray.init(address="local", num_cpus=options.local_cpus, include_dashboard=False, **common)
        return
    try:
        ray.init(address=options.address, **common)
    except ConnectionError as error:
        raise ClusterUnreachable(
            f"no Ray cluster answers at {options.address!r} ({error}); check NCLSCREEN_RAY_ADDRESS, or unset it to "
            "use a local one"
        ) from None


def _descendants(processes: Iterable[psutil.Process]) -> Iterator[psutil.Process]:
    for process in processes:
        with suppress(psutil.Error):
            yield from process.children(recursive=True)


def _see_off(processes: list[psutil.Process]) -> None:
    """Wait until Ray's processes are gone, and end those that are slow: its agents may linger for a minute."""
    _, slow = psutil.wait_procs(processes, timeout=_LINGER_S)
    for process in slow:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(slow, timeout=_LINGER_S)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Put our SIGTERM handler back, which cleans up: Ray installs one of its own while it starts."""
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)


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
