"""A running system in this process: Ray, the hosted models, and a dispatcher in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from jobs.background import MaintenanceTask
from jobs.dispatcher import Dispatcher
from jobs.domain import JobId
from jobs.errors import JobsError
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.clearing_task import clearing_task
from jobs.lifecycle.retention import Retention
from jobs.schedules.ticker import ticker
from nclscreen.hosting.hosting_thread import hosting
from nclscreen.hosting.ray_connection import cluster_id, connected_ray, nodes_alive
from nclscreen.interrupts import heed_termination, uninterrupted
from nclscreen.services.heatmap_place import check_heatmap_place
from nclscreen.services.mirroring import mirror_work
from nclscreen.services.retraining import Retraining
from nclscreen.services.ticking import TickHandler
from nclscreen.wiring import Wiring

logger = logging.getLogger(__name__)

#: a cluster that says nothing for so long is given up
MAX_SILENCE_S = 180.0


def scheduled_work(wiring: Wiring) -> list[MaintenanceTask]:
    """What is due is begun; models are retrained, one run at a time in this process, and copied; old jobs go."""
    keep_days = wiring.settings.keep_days
    return [
        ticker(wiring.schedules),
        WorkTask(TickHandler(wiring), wiring.held_work),
        WorkTask(Retraining(wiring), wiring.held_work),
        *mirror_work(wiring),
        *([] if keep_days is None else [clearing_task(Retention(wiring.engine), keep_days)]),
    ]


class ClusterLost(JobsError):
    """The Ray cluster does not answer any more."""


class Session:
    """The dispatcher's thread as others see it."""

    def __init__(self, dispatcher: Dispatcher, silent_s: Callable[[], float]) -> None:
        """`silent_s`: for how long the cluster has not answered."""
        self._dispatcher = dispatcher
        self._silent_s = silent_s
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dispatcher")

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._dispatcher.run()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits, in `check`
            self._error = error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def check(self) -> None:
        """Raise what ended the dispatcher, if an error did, or ClusterLost.

        Ray itself ends a program whose cluster is gone, after a minute; but not where another cluster has come to its
        address, of which this program is no part.
        """
        if self._error is not None:
            raise self._error
        if (silent := self._silent_s()) > MAX_SILENCE_S:
            raise ClusterLost(
                f"the Ray cluster has not answered for {silent:.0f} s; it may be another one now. Start nclscreen once "
                "more: what was under way is taken up again"
            )

    def wait(self) -> None:
        """Wait until the dispatcher ends by itself, as one for a single job does. Raises what ended it otherwise."""
        while self.running:
            self._thread.join(0.5)  # in pieces, so that Ctrl-C arrives
            heed_termination()
            self.check()
        self.check()

    def stop(self) -> None:
        """Ask the dispatcher to give everything back, and wait until it has."""
        self._dispatcher.stop()
        self._thread.join()


@contextmanager
def running_session(
    wiring: Wiring, *, only_job: JobId | None = None, starting: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[Session]:
    """Start what is needed, and stop what was started, in whatever way the block ends.

    `starting` is entered while Ray and the model come up.
    """
    models = 1 if only_job is not None else wiring.settings.max_hosted_models
    with ExitStack() as stack:
        with starting():
            if (note := wiring.versions.keep_installed()) is not None:
                logger.warning("%s", note)
            stack.enter_context(connected_ray(wiring.ray_options(models=models)))
            check_heatmap_place(wiring.settings, nodes_alive())
            host = wiring.model_host(cluster_id(), only_job=only_job)
            # a Ray of our own ends as a whole, with everything on it
            stack.enter_context(hosting(host, take_down=wiring.settings.ray_address is not None))
            more = [] if only_job is not None else scheduled_work(wiring)
            session = Session(
                wiring.dispatcher(wiring.runner(), host, only_job=only_job, more=more), lambda: host.silent_s
            )
        session.start()
        try:
            yield session
        finally:
            with uninterrupted():
                session.stop()
