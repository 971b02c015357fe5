"""The thread in which a dispatcher looks after the models that it hosts.

Everything that is asked of Ray is asked there: a Ray that is gone does not answer, and the main thread has to hear
that it is to end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobs.outage import Outage, reason
from jobs.registry.hosted_models import HostingState
from jobs.sql.errors import DATABASE_AWAY
from nclscreen.hosting.model_host import HostingFailed, ModelHost
from nclscreen.interrupts import heed_termination, uninterrupted

logger = logging.getLogger(__name__)

#: between two looks at what is needed and what is there
_LOOK_S = 1.0
#: the same, as long as who starts waits for a model
_START_LOOK_S = 0.2
#: who starts is told to wait for the model so long; later it is waited for beside other work
_START_S = 300.0
#: at the end, for the look that is under way
_LAST_LOOK_S = 5.0
#: at the end, for taking down what nobody else hosts
_CLOSE_S = 45.0


class _Start:
    """The first looks, as the main thread sees them."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.error: BaseException | None = None

    def wait(self) -> None:
        """Until a model answers or nothing is needed. Raises what broke the first looks off."""
        while not self.over.wait(0.1):
            heed_termination()
        if self.error is not None:
            raise self.error


@contextmanager
def hosting(host: ModelHost, *, take_down: bool) -> Iterator[ModelHost]:
    """Look after the models in a thread of its own, from the moment on when the first of them answers.

    `take_down`: at the end, what no other dispatcher hosts; a Ray of our own ends as a whole. Raises HostingFailed
    when none of those that are needed can be started.
    """
    stop, start = threading.Event(), _Start()
    thread = threading.Thread(target=_look_after, args=(host, stop, start), name="models", daemon=True)
    try:
        thread.start()
        start.wait()
        yield host
    finally:
        stop.set()
        with uninterrupted():
            thread.join(_LAST_LOOK_S)
            _in_time(lambda: _close(host, take_down=take_down), _CLOSE_S)


def _look_after(host: ModelHost, stop: threading.Event, start: _Start) -> None:
    try:
        _look_until_ready(host, stop)
    except BaseException as error:  # noqa: BLE001 - raised again in the main thread
        start.error = error
        return
    finally:
        start.over.set()
    _keep_looking(host, stop)


def _look_until_ready(host: ModelHost, stop: threading.Event) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        host.look()
        states = {row.state for row in host.models}
        if host.ready() or not states:
            return
        if states == {HostingState.REFUSED}:
            raise HostingFailed("; ".join(sorted({row.note or "" for row in host.models})))
        if stop.wait(_START_LOOK_S):
            return


def _keep_looking(host: ModelHost, stop: threading.Event) -> None:
    trouble = Outage("what hosts the models")
    while not stop.wait(_LOOK_S):
        try:
            host.look()
        except DATABASE_AWAY as error:
            logger.info("models: the database is away: %s", reason(error))  # the dispatcher tells people
        except Exception as error:  # noqa: BLE001 - Ray has many; the next look may find it mended
            trouble.record_failure(f"{type(error).__name__}: {error}".splitlines()[0])
        else:
            trouble.over()


def _in_time(task: Callable[[], None], seconds: float) -> None:
    """Do it in a thread of its own, and go on without it where it takes longer: Ray may wait for a dead cluster."""
    thread = threading.Thread(target=task, name="closing", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        logger.warning("Ray does not answer; the models are left as they are")


def _close(host: ModelHost, *, take_down: bool) -> None:
    try:
        host.close(take_down=take_down)
    except DATABASE_AWAY as error:
        logger.warning("the database is away; the models are left to other dispatchers: %s", reason(error))
    except Exception as error:  # noqa: BLE001 - the cluster may be gone, and its models with it
        logger.warning("the models could not be taken down: %s", error)
