"""The thread in which a dispatcher looks after the models that it hosts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.outage import Outage, reason
from jobs.registry.hosted_models import HostingState
from jobs.sql.errors import DATABASE_AWAY
from nclscreen.hosting.model_host import HostingFailed, ModelHost
from nclscreen.interrupts import heed_termination, uninterrupted

logger = logging.getLogger(__name__)

#: between two looks at what is needed and what is there
_LOOK_S = 1.0
#: who starts is told to wait for the model so long; later it is waited for beside other work
_START_S = 300.0


@contextmanager
def hosting(host: ModelHost, *, take_down: bool) -> Iterator[ModelHost]:
    """Look after the models in a thread of its own, from the moment on when the first of them answers.

    `take_down`: at the end, what no other dispatcher hosts; a Ray of our own ends as a whole. Raises HostingFailed
    when none of those that are needed can be started.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_keep_looking, args=(host, stop), name="models", daemon=True)
    try:
        _start(host)
        thread.start()
        yield host
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()
        with uninterrupted():
            _close(host, take_down=take_down)


def _start(host: ModelHost) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        host.look()
        states = {row.state for row in host.models}
        if host.ready() or not states:
            return
        if states == {HostingState.REFUSED}:
            raise HostingFailed("; ".join(sorted({row.note or "" for row in host.models})))
        time.sleep(0.2)
        heed_termination()


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


def _close(host: ModelHost, *, take_down: bool) -> None:
    try:
        host.close(take_down=take_down)
    except DATABASE_AWAY as error:
        logger.warning("the database is away; the models are left to other dispatchers: %s", reason(error))
    except Exception as error:  # noqa: BLE001 - the cluster may be gone, and its models with it
        logger.warning("the models could not be taken down: %s", error)
