"""Hosts the models that jobs need: several at once, each shared by all dispatchers of a cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from jobs.domain import Fingerprint, JobId
from jobs.errors import JobsError
from jobs.lifecycle.job_store import JobStore
from jobs.registry.hosted_models import HostedModel, HostedModels, HostingState
from nclscreen.catalog import ModelVersion
from nclscreen.hosting.applications import App, AppState
from nclscreen.hosting.choosing import Choice, choose

logger = logging.getLogger(__name__)

#: how long this dispatcher's rows live without being renewed
LEASE_S = 30.0
#: an application that nobody hosts any more goes after so long: somebody may just begin to need it
GRACE_S = 15.0
#: a model that could not be started is tried again after so long
AGAIN_S = 60.0
#: said of a model that comes by itself
BEING_STARTED = "its model is being started"


class HostingFailed(JobsError):
    """The model that is needed cannot be hosted."""


class Apps(Protocol):
    """The applications of a cluster; see `nclscreen.hosting.applications.ServeApps`."""

    def name(self, fingerprint: Fingerprint) -> str: ...

    def found(self) -> Mapping[str, App]: ...

    def bring_up(self, version: ModelVersion) -> None: ...

    def take_down(self, names: Collection[str], *, wait: bool = False) -> None: ...


class Versions(Protocol):
    """Model versions by fingerprint; see `nclscreen.catalog.ModelVersions`."""

    def version(self, fingerprint: Fingerprint) -> ModelVersion: ...

    def obstacle(self, fingerprint: Fingerprint) -> str | None: ...


class ModelHost:
    """A `jobs.ports.ModelHost` on a cluster. `look` is called again and again, from one thread.

    Dispatchers of one cluster know of each other by rows in the database. What is brought up twice, or taken down
    although somebody has just begun to need it, is set right by the next look; shards wait meanwhile.
    """

    def __init__(
        self,
        *,
        apps: Apps,
        register: HostedModels,
        jobs: JobStore,
        versions: Versions,
        cluster: str,
        dispatcher: str,
        most: int,
        spare: Callable[[], Sequence[Fingerprint]] = lambda: (),
        only_job: JobId | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most` models at once; `spare` ones are hosted although no job needs them, where there is room.

        The first of them is the one that is asked for single photographs; the others stand in until it answers.
        """
        self._apps = apps
        self._register = register
        self._jobs = jobs
        self._versions = versions
        self._cluster = cluster
        self._dispatcher = dispatcher
        self._most = most
        self._spare = spare
        self._only_job = only_job
        self._clock = clock
        self._rows: tuple[HostedModel, ...] = ()
        self._ready: frozenset[Fingerprint] = frozenset()
        self._answered_at = clock()
        self._renew_at = 0.0
        self._sweep_at = 0.0
        #: hosted by this dispatcher, and brought up when
        self._mine: dict[Fingerprint, float] = {}
        #: not needed any more, by this dispatcher or one that vanished, since when
        self._unneeded: dict[Fingerprint, float] = {}

    def ready(self) -> frozenset[Fingerprint]:
        return self._ready

    @property
    def models(self) -> Sequence[HostedModel]:
        """What jobs need, and what became of it at the last look."""
        return self._rows

    @property
    def silent_s(self) -> float:
        """For how long the cluster has not said what it hosts."""
        return self._clock() - self._answered_at

    def look(self) -> None:
        """See what jobs need now, bring up what is missing, and take down what nobody needs."""
        found = self._apps.found()
        self._answered_at = self._clock()
        choice = self._choice()
        kept = (*choice.hosted, *choice.draining)
        self._renew(
            (
                *(self._row(each, found.get(self._apps.name(each))) for each in choice.hosted),
                *(_row(each, HostingState.LEAVING, "its model makes room for another one") for each in choice.draining),
                *(_row(each, HostingState.REFUSED, why) for each, why in choice.refused.items() if each not in kept),
            )
        )
        for fingerprint in self._mine.keys() - set(kept):
            del self._mine[fingerprint]
            self._unneeded.setdefault(fingerprint, self._clock())
        for fingerprint in kept:
            self._bring_up(fingerprint, found.get(self._apps.name(fingerprint)))
        states = {row.fingerprint: row.state for row in self._rows}
        self._ready = frozenset(each for each in choice.hosted if states[each] is HostingState.READY)
        self._collect(found)

    def close(self, *, take_down: bool) -> None:
        """Host nothing any more; `take_down` what no other dispatcher hosts, and wait until it is gone."""
        self._ready = frozenset()
        self._register.leave(self._cluster, self._dispatcher)
        if take_down:
            others = self._register.held(self._cluster)
            names = [self._apps.name(each) for each in {*self._mine, *self._unneeded} - set(others)]
            self._apps.take_down(names, wait=True)

    def _choice(self) -> Choice:
        return choose(
            self._jobs.models_in_demand(self._only_job),
            hosted=tuple(self._mine),
            busy=self._jobs.models_under_way(),
            spare=self._still_spare(),
            obstacle=self._versions.obstacle,
            most=self._most,
        )

    def _still_spare(self) -> Sequence[Fingerprint]:
        spare = self._spare()
        return spare[:1] if spare and spare[0] in self._ready else spare

    def _row(self, fingerprint: Fingerprint, app: App | None) -> HostedModel:
        """How far a model is. One that answered once is ready until its application goes: replicas are replaced."""
        state = None if app is None else app.state
        if state is AppState.FAILED and app is not None:
            return _row(fingerprint, HostingState.REFUSED, f"its model could not be started: {app.message}")
        if state is AppState.RUNNING or (state in (AppState.ILL, AppState.STARTING) and fingerprint in self._ready):
            return _row(fingerprint, HostingState.READY)
        lacks = f": {app.message}" if app is not None and app.message else ""
        return _row(fingerprint, HostingState.STARTING, f"{BEING_STARTED}{lacks}")

    def _renew(self, rows: tuple[HostedModel, ...]) -> None:
        if rows == self._rows and self._clock() < self._renew_at:
            return
        before = {row.fingerprint: row for row in self._rows}
        self._register.renew(self._cluster, self._dispatcher, rows, LEASE_S)
        self._rows, self._renew_at = rows, self._clock() + LEASE_S / 3
        for row in rows:
            if row.state is HostingState.REFUSED and before.get(row.fingerprint) != row:
                logger.warning("jobs of model %s wait: %s", row.fingerprint[:12], row.note)

    def _bring_up(self, fingerprint: Fingerprint, app: App | None) -> None:
        now = self._clock()
        since = self._mine.setdefault(fingerprint, float("-inf"))
        self._unneeded.pop(fingerprint, None)
        failed = app is not None and app.state is AppState.FAILED and now >= since + AGAIN_S
        if app is None or failed:
            if app is None and fingerprint in self._ready:
                logger.warning("model %s is not hosted any more; bringing it up again", fingerprint[:12])
            self._mine[fingerprint] = now
            self._apps.bring_up(self._versions.version(fingerprint))

    def _collect(self, found: Mapping[str, App]) -> None:
        """Take down what was not needed for a while, by anybody."""
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep_at = now + LEASE_S / 3
            for fingerprint in self._register.abandoned(self._cluster):
                self._unneeded.setdefault(fingerprint, now)
        due = {each for each, since in self._unneeded.items() if now >= since + GRACE_S}
        if not due:
            return
        free = due - set(self._register.held(self._cluster))
        names = [name for name in map(self._apps.name, sorted(free)) if name in found]
        if names:
            self._apps.take_down(names)
        self._register.forget(self._cluster, due)
        for fingerprint in due:
            del self._unneeded[fingerprint]


def _row(fingerprint: Fingerprint, state: HostingState, note: str | None = None) -> HostedModel:
    return HostedModel(fingerprint=fingerprint, state=state, note=note)
