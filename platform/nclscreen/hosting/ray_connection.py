"""Ray alone: a local one that lives as long as we do, or a connection to a cluster that was there before."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any

import psutil

from jobs.errors import JobsError
from nclscreen.hosting.ray_token import own_token
from nclscreen.interrupts import uninterrupted

#: how long Ray's processes may take to end by themselves
_LINGER_S = 5.0
#: how long a Ray that is being started may take to be there, once nobody wants it any more
_START_S = 60.0
#: how often is looked for signals, and whether it still can
_SLICE_S = 0.05
#: a Ray that is being started comes to nothing without these
_FIRST_PROCESSES = {"gcs_server", "raylet"}
#: how long a cluster's port may take to answer
_LISTEN_S = 3.0
#: how long a cluster may be away when we come: its head may be just starting, too
_AWAY_S = 30.0
#: how long a cluster that is there may take to let us in, before nobody waits for it any longer
_LET_IN_S = 120.0


class ClusterUnreachable(JobsError):
    """No Ray cluster answers at the address given."""


class ClusterRefused(ClusterUnreachable):
    """Something answers there, and does not let us in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RayOptions:
    """Which Ray to use."""

    #: None: a local one of our own
    address: str | None
    #: what replicas and shards reserve together
    needed_cpus: float
    #: where a local one keeps its token; None: where Ray would
    token_file: Path | None = None

    @property
    def local_cpus(self) -> int:
        """Logical CPUs of a local Ray; more than there are cores is fine."""
        return max(os.cpu_count() or 1, math.ceil(self.needed_cpus))


@contextmanager
def connected_ray(options: RayOptions) -> Iterator[None]:
    """Ray alone: a local one of our own, or a connection to a cluster. Raises ClusterUnreachable."""
    with own_token(options.token_file if options.address is None else None), _connected(options):
        yield


@contextmanager
def _connected(options: RayOptions) -> Iterator[None]:
    import ray

    before = _children()
    rays: set[psutil.Process] = set()
    over = threading.Event()
    try:
        try:
            _from_a_thread(lambda: _connect(ray, options), over, options.address)
        finally:
            # whatever else this process starts, before or after, is not Ray's and not ours to end
            rays = _children() - before
        yield
    finally:
        with uninterrupted():
            started = [*rays, *_descendants(rays)] if options.address is None else []
            ray.shutdown()
            _forget_serve()
            over.set()
            _see_off(started)


def cluster_id() -> str:
    """What all that are connected to this cluster call it, and no other one; another one once its head is new."""
    import ray

    heads = [node["NodeID"] for node in ray.nodes() if "node:__internal_head__" in node["Resources"]]
    return heads[0] if heads else str(ray.get_runtime_context().gcs_address)


def nodes_alive() -> int:
    """Nodes of the cluster this process is connected to."""
    import ray

    return sum(node["Alive"] for node in ray.nodes())


def _connect(ray: Any, options: RayOptions) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a screening recorder's machines do not phone home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default; silences its warning
    logging.getLogger("ray").setLevel(logging.ERROR)  # it warns that its SIGTERM handler is not set, which is as wanted
    _keep_standard_output_clean()
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if options.address is None:
        _start_processes_in_groups_of_their_own()
        ray.init(address="local", num_cpus=options.local_cpus, include_dashboard=False, **common)
        return
    try:
        _await_port(options.address)
        ray.init(address=options.address, **common)
    except ConnectionError as error:
        # Ray says the same of silence and of refusal
        if (place := _place_in(str(error))) is not None and _listens(place):
            raise _refused(place) from None
        raise ClusterUnreachable(
            f"no Ray cluster answers at {options.address!r} ({error}); check NCLSCREEN_RAY_ADDRESS, or unset it to "
            "use a local one"
        ) from None


def _refused(place: str) -> ClusterRefused:
    return ClusterRefused(
        f"something answers at {place}, but no Ray that lets us in: its token is missing here or another one "
        "(set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH), or its version is another"
    )


def _await_port(address: str) -> None:
    """Until somebody listens there: Ray by itself would ask in C for a quarter of an hour.

    Raises ConnectionError, and ClusterUnreachable for what is no address.
    """
    from ray._private.services import canonicalize_bootstrap_address

    try:
        place = canonicalize_bootstrap_address(address)  # where Ray will look; ConnectionError for "auto" without any
    except ValueError:
        raise ClusterUnreachable(
            f"{address!r} is no address of a Ray cluster: set NCLSCREEN_RAY_ADDRESS to host:port of its head, or to "
            "auto on one of its nodes"
        ) from None
    deadline = time.monotonic() + _AWAY_S
    while place is not None and not _listens(place):
        if time.monotonic() > deadline:
            raise ConnectionError(f"nobody listens at {place}")
        time.sleep(1)


def _start_processes_in_groups_of_their_own() -> None:
    """A signal to our group is to end us, who then end Ray, and not Ray under us.

    Ray has its processes ignore a terminal's Ctrl-C; SIGTERM to the whole group, as `timeout` sends it, ended them.
    Ray then waits for them in C, with the interpreter locked, for up to a minute, and ends this program with 1.
    (`start_ray_process` in `ray/_private/services.py`, Ray 2.60. Where the kernel does not end them together with us,
    Ray finds them by their group.)
    """
    from ray._private import services

    if sys.platform == "linux" and not isinstance(services.ConsolePopen, partial):
        services.ConsolePopen = partial(services.ConsolePopen, process_group=0)


def _keep_standard_output_clean() -> None:
    """Ray tells of nodes and workers that died on standard output, whatever it is asked for: there our documents go.

    (`listen_error_messages` in `ray/_private/worker.py`, Ray 2.60.)
    """
    from ray._private import worker

    plain = worker.print_to_stdstream
    if not hasattr(plain, "__wrapped__"):

        @wraps(plain)
        def to_standard_error(data: dict[str, Any], *rest: Any, **named: Any) -> None:
            plain({**data, "is_err": True}, *rest, **named)

        worker.print_to_stdstream = to_standard_error


def _place_in(said: str) -> str | None:
    """The address in an error of Ray's."""
    found = re.search(r" at (\S+:\d+)", said)
    return found and found[1]


def _listens(place: str) -> bool:
    """Whether somebody does at this host:port."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LISTEN_S).close()
    except OSError:
        return False
    return True


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children())


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


def _forget_serve() -> None:
    """Serve keeps a handle of its controller for the whole process, which is of no use on the next cluster."""
    if (context := sys.modules.get("ray.serve.context")) is not None:
        context._set_global_client(None)


def _from_a_thread(connect: Callable[[], None], over: threading.Event, address: str | None) -> None:
    """Connect, to a cluster at that address or to one of our own, from a thread that lives until `over`; wait for that.

    In the main thread Ray would put a SIGTERM handler of its own in ours' place, which exits with 15, and wait for its
    first process in C, deaf to signals, for half a minute. The thread must live on: the kernel ends Ray's processes
    together with the thread that started them (PR_SET_PDEATHSIG).
    """
    done: Future[None] = Future()

    def live() -> None:
        try:
            connect()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)
            over.wait()

    restore_handler, before = _sigterm_restorer(), _children()
    threading.Thread(target=live, name="ray", daemon=True).start()
    try:
        # in slices: a signal that the kernel gave to another thread, which may be one in C, is seen between them only
        deadline = time.monotonic() + _LET_IN_S
        while not wait([done], _SLICE_S).done:
            restore_handler()
            if address is not None and time.monotonic() > deadline:
                raise _refused(address)
        done.result()
    except BaseException:
        if address is None:
            with uninterrupted():
                _await_start(done, before)  # what is just being started would stay behind
        raise
    finally:
        restore_handler()


def _sigterm_restorer() -> Callable[[], None]:
    """Sets our handler of SIGTERM again: Ray's C++ puts one in its place, in the middle of connecting, that aborts."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handler = signal.getsignal(signal.SIGTERM)

    def again() -> None:
        signal.signal(signal.SIGTERM, handler)

    return again


def _await_start(done: Future[None], before: set[psutil.Process]) -> None:
    """Until Ray is there, or has failed, or one of its first processes has ended.

    A service manager may signal all of our processes. Ray then waits for its first one in C, for half a minute or for
    a whole one, at the end of which it ends this program with a code of its own: by then we had better be gone.
    """
    deadline = time.monotonic() + _START_S
    while not wait([done], _SLICE_S).done and time.monotonic() < deadline:
        if any(_ended(process) for process in _children() - before):
            return


def _ended(process: psutil.Process) -> bool:
    """Whether this child was one of Ray's first processes and waits for somebody to ask how it ended."""
    with suppress(psutil.Error):
        return process.status() == psutil.STATUS_ZOMBIE and process.name() in _FIRST_PROCESSES
    return False
