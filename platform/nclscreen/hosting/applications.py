"""The Serve applications of one cluster: one for each model version, brought up and taken down by its name."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jobs.domain import Fingerprint
from ncl_model.distributed.node_labels import in_words
from nclscreen.catalog import ModelVersion
from nclscreen.hosting.ray_connection import cluster_id
from nclscreen.hosting.replica import Localizer

logger = logging.getLogger(__name__)

_PREFIX = "localizer-"
#: how long replicas may take to finish what they were given
_TAKE_DOWN_S = 30.0
#: batches a replica has accepted and not answered; more wait at the callers
MAX_ONGOING_REQUESTS = 4
#: Serve's message of a replica that Ray does not place
_UNPLACED = re.compile(
    r"to be scheduled\..*Resources required for each replica: (\{.*?\}), total resources available: (\{.*?\})",
    re.DOTALL,
)
_RESOURCE = re.compile(r"""['"](\w+)['"]: ([0-9.]+)""")
#: with more batches than this under way per replica, there are to be more replicas, if there may be
_TARGET_ONGOING_REQUESTS = 2


def app_name(fingerprint: Fingerprint, database: str) -> str:
    """The name of the application that hosts this version for the dispatchers of this database.

    Dispatchers know of each other by rows of their database: those of another one, on the same cluster, cannot know
    whether an application is needed, and have theirs.
    """
    return f"{_PREFIX}{fingerprint[:12]}-{database}"


class AppState(StrEnum):
    """An application, as far as those care who need its model."""

    STARTING = "starting"
    RUNNING = "running"
    #: a replica does not answer; Serve replaces it
    ILL = "ill"
    FAILED = "failed"
    GOING = "going"


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """What the cluster says of one application."""

    state: AppState
    #: why it failed, or what the cluster lacks for a replica of it
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostingOptions:
    """How each model is hosted."""

    replicas: int = 1
    #: above `replicas`: Serve adds replicas up to this while batches wait, and takes them away again
    max_replicas: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    #: CPU threads of one replica
    threads: int = os.cpu_count() or 1
    #: of the nodes they run on, as `node_labels.parse_labels` gives them; empty: any node
    labels: Mapping[str, str] = field(default_factory=dict)


class ServeApps:
    """The applications on the cluster that this process is connected to."""

    def __init__(self, options: HostingOptions, database: str) -> None:
        """`database`: its identity, see `jobs.sql.database.database_identity`."""
        self._options = options
        self._database = database
        self._cluster: str | None = None

    def name(self, fingerprint: Fingerprint) -> str:
        """Of the application that hosts this version."""
        return app_name(fingerprint, self._database)

    def found(self) -> dict[str, App]:
        """Every application of this program, by name, whoever brought it up.

        Raises ConnectionError once another cluster answers, of which this process is no part.
        """
        from ray import serve

        cluster = cluster_id()
        self._cluster = self._cluster or cluster
        if cluster != self._cluster:
            raise ConnectionError("another Ray cluster has come to this address")
        applications = serve.status().applications
        where = f" on a node with {in_words(self._options.labels)}" if self._options.labels else ""
        return {name: _app(each, where) for name, each in applications.items() if name.startswith(_PREFIX)}

    def bring_up(self, version: ModelVersion) -> None:
        """Host this version; returns at once, `found` tells how it goes."""
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # no HTTP: screening workers use handles
            serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
            app = serve.RunTarget(
                build_app(version, self._options), name=self.name(version.fingerprint), route_prefix=None
            )
            serve.run_many([app], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)

    def take_down(self, names: Collection[str], *, wait: bool = False) -> None:
        """Host these no more; `wait` until they are gone, or somebody else has brought them up again already.

        `serve.delete` by itself looks for their absence once a second, for a minute in vain where one came back in
        between.
        """
        from ray import serve

        before = self._deployed_at(names)
        for name in before:
            serve.delete(name, _blocking=False)
        deadline = time.monotonic() + _TAKE_DOWN_S
        while wait and (left := {name for name, at in self._deployed_at(names).items() if before.get(name) == at}):
            if time.monotonic() > deadline:
                logger.warning("%s takes long to end; Ray goes on with that", ", ".join(sorted(left)))
                return
            time.sleep(0.1)

    @staticmethod
    def _deployed_at(names: Collection[str]) -> dict[str, float]:
        """When those of them that are there were deployed, in seconds since the epoch."""
        from ray import serve

        applications = serve.status().applications
        return {name: float(applications[name].last_deployed_time_s) for name in names if name in applications}


def _app(overview: Any, where: str) -> App:
    states = {
        "RUNNING": AppState.RUNNING,
        "UNHEALTHY": AppState.ILL,
        "DEPLOY_FAILED": AppState.FAILED,
        "DELETING": AppState.GOING,
    }
    state = states.get(str(overview.status.value), AppState.STARTING)
    if state is AppState.FAILED:
        return App(state=state, message=_reason(overview))
    return App(state=state, message=no_place((str(each.message) for each in overview.deployments.values()), where))


def no_place(told: Iterable[str], where: str = "") -> str:
    """What the cluster lacks for a replica, in a line, from what Serve says of deployments; empty where nothing.

    `where`: the nodes that alone come into question.
    """
    found = next(filter(None, map(_UNPLACED.search, told)), None)
    if found is None:
        return ""
    needed, free = map(_resources, found.groups())
    return (
        f"a replica needs {needed}{where} and finds no place on the cluster, which has {free} free; add nodes, or "
        "lower NCLSCREEN_REPLICAS, NCLSCREEN_REPLICA_CPUS or NCLSCREEN_REPLICA_GPUS"
    )


def _resources(told: str) -> str:
    """`{'CPU': 1.0, 'GPU': 2.0}` as people say it."""
    return " and ".join(f"{float(count):g} {name}" for name, count in _RESOURCE.findall(told)) or "none of that"


def _reason(overview: Any) -> str:
    """Why it failed, in a line: Serve's message of a deployment ends with the error of its replica."""
    told = [*(str(each.message) for each in overview.deployments.values()), str(overview.message)]
    lines = [line.strip() for line in next((each for each in told if each.strip()), "").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def build_app(version: ModelVersion, options: HostingOptions) -> Any:
    """The Serve application, ready to be run."""
    from ray import serve

    deployment = serve.deployment(Localizer).options(
        name="Localizer",
        **_replicas(options),
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        ray_actor_options={
            "num_cpus": options.cpus,
            "num_gpus": options.gpus,
            **({"label_selector": dict(options.labels)} if options.labels else {}),
        },
        user_config={"threads": options.threads, "device": "cuda" if options.gpus else "cpu"},
        health_check_period_s=5,
        health_check_timeout_s=30,
        graceful_shutdown_timeout_s=2,
    )
    return deployment.bind(version)


def _replicas(options: HostingOptions) -> dict[str, Any]:
    if options.max_replicas <= options.replicas:
        return {"num_replicas": options.replicas}
    autoscaling = {
        "min_replicas": options.replicas,
        "max_replicas": options.max_replicas,
        "target_ongoing_requests": _TARGET_ONGOING_REQUESTS,
    }
    return {"autoscaling_config": autoscaling}
