"""Copying runs, model versions and alias moves to MLflow: beside everything else, late if need be, each once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from jobs.background import MaintenanceTask
from jobs.domain import Fingerprint, JobId, Work, WorkKind
from jobs.domain.registry import Alias
from jobs.errors import JobsError
from jobs.leased_work.held import Hold
from jobs.leased_work.task import WorkTask
from jobs.mirroring.errors import MirrorAway, MirrorRefused
from jobs.mirroring.mirror_queue import Behind, MirrorQueue, Thing, target_of
from jobs.mirroring.records import MoveRecord, RunRecord, VersionRecord, move_record, run_record, version_record
from jobs.outage import Outage
from nclscreen.mlflow_mirror import MlflowMirror
from nclscreen.stores import Stores
from nclscreen.wiring import Wiring

logger = logging.getLogger(__name__)

#: between two looks for what is new
_EVERY_S = 5.0
#: before a server that is away is asked again
AWAY_S = 30.0

GoingOn = Callable[[], None]


class Mirror(Protocol):
    """A place with copies; see `nclscreen.mlflow_mirror.MlflowMirror`, which says what is raised."""

    @property
    def place(self) -> str: ...

    def check(self) -> None: ...

    def put_run(self, run: RunRecord, going_on: GoingOn) -> None: ...

    def put_version(self, version: VersionRecord, going_on: GoingOn) -> None: ...

    def put_move(self, move: MoveRecord, going_on: GoingOn) -> None: ...


class Mirroring:
    """Copies one thing; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.MIRRORING

    def __init__(self, stores: Stores, queue: MirrorQueue, mirror: Mirror) -> None:
        self._stores = stores
        self._queue = queue
        self._mirror = mirror
        self._outage = Outage(f"MLflow at {mirror.place}")
        #: whether it was away when it was asked last
        self.away = False

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Copy it. Raises WorkStopped, WorkLost, or one of DATABASE_AWAY: what was copied by then is found again."""
        thing = self._queue.thing(work)
        if thing is None:
            self._queue.forget(work)
            return
        try:
            self._copy(thing, lambda: hold.check(stop))
        except MirrorAway as error:
            self.away = True
            self._outage.record_failure(error.why)
            self._queue.work.release(work, after_s=AWAY_S, reason=str(error))
        except MirrorRefused as error:
            logger.warning("%s", error)
            self._queue.refused(work, str(error))
        else:
            self._outage.over()
            self._queue.done(work)

    def give_up(self, work: Work, why: str) -> None:
        """It ends whoever takes it."""
        self._queue.work.fail(work, why, again_after_s=None)

    def _copy(self, thing: Thing, going_on: GoingOn) -> None:
        if thing.what == "run":
            run = self._stores.runs.get(thing.name)
            self._mirror.put_run(run_record(run, self._stores.runs.training(run.id)), going_on)
        elif thing.what == "version":
            self._mirror.put_version(version_record(self._stores.registry.get(Fingerprint(thing.name))), going_on)
        else:
            said, _, number = thing.name.partition("/")
            self._move(Alias(said), int(number), going_on)

    def _move(self, alias: Alias, number: int, going_on: GoingOn) -> None:
        """Again where the alias was moved meanwhile: whoever comes last has the last word."""
        history = self._stores.registry.history(alias)
        while True:
            self._mirror.put_move(move_record(history[number - 1], history[-1].fingerprint), going_on)
            before, history = history, self._stores.registry.history(alias)
            if len(before) == len(history):
                return


class MirrorTask:
    """Looks for what is not copied yet, and copies it; a `jobs.background.MaintenanceTask`."""

    name = WorkKind.MIRRORING.value
    at_once = 1

    def __init__(
        self, queue: MirrorQueue, handler: Mirroring, task: WorkTask, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`task`: the handler's; `clock`: seconds that pass here, for how often to look."""
        self._queue = queue
        self._handler = handler
        self._task = task
        self._clock = clock
        self._next_look = 0.0
        self._resting_until = 0.0
        self._begun = False

    @property
    def busy(self) -> int:
        return self._task.busy

    @property
    def stuck(self) -> int:
        return self._task.stuck

    def pending(self, job_id: JobId) -> bool:
        """It is nothing that a job waits for."""
        return False

    def step(self, stop: threading.Event) -> bool:
        """Copy one thing, where the server is not away; gives whether there was one. Raises one of DATABASE_AWAY."""
        if self._clock() < self._resting_until:
            return False
        if not self._begun:
            self._queue.revive()
            self._begun = True
        if self._clock() >= self._next_look:
            self._queue.fill()
            self._next_look = self._clock() + _EVERY_S
        self._handler.away = False
        did = self._task.step(stop)
        if self._handler.away:
            self._resting_until = self._clock() + AWAY_S
        return did


def mirror_work(wiring: Wiring) -> list[MaintenanceTask]:
    """What a dispatcher does about it; nothing where no MLflow is named."""
    mirror = mlflow_of(wiring)
    if mirror is None:
        return []
    queue = mirror_queue(wiring)
    handler = Mirroring(wiring, queue, mirror)
    return [MirrorTask(queue, handler, WorkTask(handler, wiring.held_work))]


def mlflow_of(wiring: Wiring) -> MlflowMirror | None:
    """The server that the settings name."""
    uri = wiring.settings.mlflow_tracking_uri
    return None if uri is None else MlflowMirror(uri, wiring.settings.mlflow_experiment_name)


def mirror_queue(wiring: Wiring) -> MirrorQueue:
    """What is to be copied there."""
    settings = wiring.settings
    return MirrorQueue(wiring.engine, target_of(settings.mlflow_tracking_uri or "", settings.mlflow_experiment_name))


def mirror_state(wiring: Wiring, mirror: Mirror) -> str:
    """What a doctor says of it. Raises JobsError where it is behind and why, or where the server is away."""
    behind = mirror_queue(wiring).behind()
    told = f"{mirror.place}, experiment {wiring.settings.mlflow_experiment_name}: {in_words(behind)}"
    if behind.given_up or behind.why is not None:
        raise JobsError(f"{told}; {behind.why}")
    mirror.check()
    return told


def in_words(behind: Behind) -> str:
    """What is missing there."""
    counts = {"run(s)": behind.runs, "model version(s)": behind.versions, "alias move(s)": behind.moves}
    missing = [f"{count} {name}" for name, count in counts.items() if count]
    if not missing:
        return "everything is copied"
    given_up = f", {behind.given_up} of them given up until a dispatcher is started anew" if behind.given_up else ""
    return f"{', '.join(missing)} not copied yet{given_up}"
