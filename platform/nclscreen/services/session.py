"""A running system in this process: Ray, the hosted model, and a dispatcher in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial

from jobs.dispatcher import Dispatcher
from jobs.domain import JobId
from nclscreen.hosting.applications import keep_hosted, ray_runtime
from nclscreen.interrupts import heed_termination, uninterrupted
from nclscreen.wiring import Wiring

#: seconds between two looks whether the model is still hosted
_LOOK_S = 5.0


class Session:
    """The dispatcher's thread as others see it."""

    def __init__(self, dispatcher: Dispatcher, keep_hosted: Callable[[], None]) -> None:
        self._dispatcher = dispatcher
        self._keep_hosted = keep_hosted
        self._next_look = time.monotonic() + _LOOK_S
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
        """Raise what ended the dispatcher, if an error did. Now and then, see that the model is still hosted."""
        if self._error is not None:
            raise self._error
        if self.running and time.monotonic() >= self._next_look:
            self._keep_hosted()
            self._next_look = time.monotonic() + _LOOK_S

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
    hosting = wiring.hosting()
    with ExitStack() as stack:
        with starting():
            stack.enter_context(ray_runtime(wiring.ray_options(), hosting))
            session = Session(wiring.dispatcher(wiring.runner(), only_job=only_job), partial(keep_hosted, hosting))
        session.start()
        try:
            yield session
        finally:
            with uninterrupted():
                session.stop()
