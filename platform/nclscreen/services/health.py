"""Whether everything that is needed works: database, storages, model, Ray. A check says what is there, or ails."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.domain import ImageKey
from jobs.domain.states import JobState
from jobs.errors import JobsError
from jobs.lifecycle.job_filters import JobFilter
from jobs.masking import masked
from jobs.operations.figures import figures
from jobs.storage import parse_source
from ncl_model.distributed.node_labels import has_labels, in_words
from ncl_model.errors import NclModelError
from nclscreen.hosting.applications import HostingOptions
from nclscreen.hosting.model_host import BEING_STARTED
from nclscreen.hosting.node_checks import look_from_every_node, place_of
from nclscreen.quantities import duration_in_words
from nclscreen.services.heatmap_place import check_heatmap_place
from nclscreen.services.job_view import NOBODY
from nclscreen.services.mirroring import mirror_state, mlflow_of
from nclscreen.wiring import Wiring

#: seconds; from there on alerts speak, too: `deploy/prometheus/alerts.yml`
LONGEST_OVERDUE_S = 120.0
LONGEST_WITHOUT_A_TURN_S = 900.0
#: jobs that are looked at; more of them make no other finding
_LISTED = 1000


class WorkWaits(JobsError):
    """Jobs wait for something that does not come by itself."""

    def __init__(self, told: str, missing: Sequence[str], *, nobody_works: bool) -> None:
        self.nobody_works = nobody_works
        super().__init__("; ".join([told, *missing]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    part: str
    ok: bool
    #: what is there, or what is wrong and what to do
    message: str
    #: what was raised, for who can add to it what to type
    error: Exception | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One look at one part. It may take some seconds."""

    part: str
    look: Callable[[], str]

    def __call__(self) -> Finding:
        try:
            return Finding(part=self.part, ok=True, message=self.look())
        except (JobsError, NclModelError) as error:
            return Finding(part=self.part, ok=False, message=str(error), error=error)
        except Exception as error:  # noqa: BLE001 - a doctor reports whatever ails
            return Finding(part=self.part, ok=False, message=f"{type(error).__name__}: {error}", error=error)


def health_checks(wiring: Wiring, source: str | None = None) -> Iterator[Check]:
    """The checks, in the order in which they are best made; `source` is one more place to be read."""
    yield Check(part="database", look=lambda: database(wiring))
    yield Check(part="heatmaps", look=lambda: heatmaps(wiring))
    if source is not None:
        yield Check(part="source", look=lambda: readable(wiring, source))
    yield Check(part="model", look=lambda: model(wiring))
    yield Check(part="ray", look=lambda: ray_cluster(wiring))
    if wiring.settings.ray_address is not None and wiring.settings.heatmaps != "none":
        yield Check(part="nodes", look=lambda: heatmaps_from_nodes(wiring))
    yield Check(part="work", look=lambda: work(wiring))
    yield Check(part="queue", look=lambda: queue(wiring))
    if (mirror := mlflow_of(wiring)) is not None:
        yield Check(part="mlflow", look=lambda: mirror_state(wiring, mirror))


def database(wiring: Wiring) -> str:
    url = masked(wiring.engine.url.render_as_string(hide_password=True))
    waiting = len(wiring.jobs.latest(1))
    return f"{url}, schema is current, {'has jobs' if waiting else 'no jobs yet'}"


def heatmaps(wiring: Wiring) -> str:
    storage, prefix = place_of(wiring.settings.effective_heatmaps_uri, wiring.settings.s3)
    uri = storage.write(ImageKey(f"{prefix}doctor.txt"), b"nclscreen doctor was here\n", content_type="text/plain")
    return f"can write {uri}"


def heatmaps_from_nodes(wiring: Wiring) -> str:
    """As workers see the place. Raises JobsError, which names the nodes that see another place or none."""
    from nclscreen.hosting.ray_connection import connected_ray

    uri = wiring.settings.effective_heatmaps_uri
    wanted = f"nclscreen doctor was here: {uuid.uuid4().hex}\n".encode()
    storage, prefix = place_of(uri, wiring.settings.s3)
    storage.write(ImageKey(f"{prefix}doctor.txt"), wanted, content_type="text/plain")
    with connected_ray(wiring.ray_options()):
        found = look_from_every_node(uri, wiring.settings.s3, wanted)
    if wrong := {node: why for node, why in found.items() if why is not None}:
        told = "; ".join(f"{node}: {why}" for node, why in wrong.items())
        raise JobsError(f"{len(wrong)} of {len(found)} nodes cannot use {uri} for heatmaps: {told}")
    check_heatmap_place(wiring.settings, len(found))
    return f"a worker on each of {len(found)} node(s) can write {uri}"


def readable(wiring: Wiring, source: str) -> str:
    parsed = parse_source(source)
    storage = wiring.open_storage(parsed.container)
    storage.check()
    first = next(iter(storage.list_objects(parsed.prefix)), None)
    return f"can read {storage.container}" + ("" if first else ", but there is nothing under this prefix")


def model(wiring: Wiring) -> str:
    import numpy as np

    installed = wiring.model
    probabilities = installed.predictor().predict(np.zeros((1, 64, 64, 3), np.uint8))
    if not np.isfinite(probabilities).all():
        raise NclModelError(f"{installed.weights} gives no finite probabilities; set NCLSCREEN_PRECISION=float32")
    calibration = installed.calibration
    rates = "no calibration for rates of false alarms"
    if calibration is not None:
        photographs = calibration.photographs
        rates = f"false alarms from {calibration.least_rate:.2g} on ({photographs} authentic photographs)"
    name, fingerprint = installed.ref.name, installed.fingerprint
    return f"{name} ({fingerprint[:12]}), threshold {installed.threshold():.3f}, {rates}"


def work(wiring: Wiring) -> str:
    """Who works, and on what. Raises WorkWaits where jobs wait for something that does not come by itself."""
    try:
        at_work = wiring.dispatchers.at_work()
    except JobsError:
        raise JobsError("cannot be looked at until the database works") from None
    preparing = wiring.jobs.page(JobFilter(state=JobState.PREPARING), _LISTED).items
    demand = wiring.jobs.models_in_demand()
    open_jobs = len(preparing) + sum(each.jobs for each in demand)
    told = f"{len(at_work)} dispatcher(s) at work, {open_jobs} job(s) to be prepared or screened"
    if (budget := wiring.dispatchers.budget()) is not None:
        told += f"; {budget}"
    obstacles = wiring.hosted_models.obstacles([each.model.fingerprint for each in demand])
    missing = [f"{name} lacks: {lacks}" for name, lacks in at_work.items() if lacks]
    missing += [f"jobs of model {key[:12]} wait: {why}" for key, why in obstacles.items() if why != BEING_STARTED]
    if open_jobs and not at_work:
        raise WorkWaits(told, [NOBODY, *missing], nobody_works=True)
    if missing:
        raise WorkWaits(told, missing, nobody_works=False)
    return told


def queue(wiring: Wiring) -> str:
    """How long work waits. Raises JobsError where it waits for longer than it does when all is well."""
    try:
        found = figures(wiring.engine)
    except JobsError:
        raise JobsError("cannot be looked at until the database works") from None
    waiting, held = found.shards["queued"], found.shards["leased"]
    told = f"{waiting:,} shards wait, {held:,} under way"
    if found.queue_age_s:
        told += f", a job had no turn for {duration_in_words(found.queue_age_s)}"
    if found.overdue_lease_s > LONGEST_OVERDUE_S:
        ago = duration_in_words(found.overdue_lease_s)
        raise JobsError(
            f"{told}; a lease ran out {ago} ago and nobody took the work back: dispatchers hang, or are gone"
        )
    if found.queue_age_s > LONGEST_WITHOUT_A_TURN_S and not held:
        raise JobsError(f"{told}, and nothing is under way; see what jobs wait for with: nclscreen top")
    return told


def ray_cluster(wiring: Wiring) -> str:
    import ray

    from nclscreen.hosting.ray_connection import connected_ray

    wanted = wiring.ray_options()
    with connected_ray(wanted):
        alive = [node for node in ray.nodes() if node["Alive"]]
    where, hosting = wanted.address or "local", wiring.hosting_options()
    nodes = [node["Resources"] for node in alive]
    hosts = [node["Resources"] for node in alive if has_labels(node["Labels"], hosting.labels)]
    lacks = shortage(nodes, wanted.needed_cpus, hosting, wiring.settings.shard_cpus, hosts)
    if lacks is not None:
        raise JobsError(f"{where}: {lacks}")
    cpus, gpus = (sum(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU"))
    return f"{where}: Ray {ray.__version__}, {len(nodes)} node(s), {cpus:g} CPUs, {gpus:g} GPUs"


def shortage(
    nodes: Sequence[Mapping[str, float]],
    needed_cpus: float,
    hosting: HostingOptions,
    shard_cpus: float,
    hosts: Sequence[Mapping[str, float]] | None = None,
) -> str | None:
    """What a cluster of these nodes, each with its resources, lacks for replicas and shards; None: nothing.

    `hosts`: those that replicas may run on; None: all.
    """
    hosts = nodes if hosts is None else hosts
    cpus, gpus = sum(node.get("CPU", 0.0) for node in nodes), sum(node.get("GPU", 0.0) for node in hosts)
    if cpus < needed_cpus:
        return (
            f"{cpus:g} CPUs, but replicas and shards ask for {needed_cpus:g}; lower "
            "NCLSCREEN_REPLICA_CPUS, NCLSCREEN_SHARDS_IN_FLIGHT or NCLSCREEN_SHARD_CPUS, or add nodes"
        )
    if not hosts:
        return f"no node is one with {in_words(hosting.labels)}; correct NCLSCREEN_REPLICA_LABELS, or add such nodes"
    needed_gpus = hosting.max_replicas * hosting.gpus
    if gpus < needed_gpus:
        return (
            f"{gpus:g} GPUs, but replicas ask for {needed_gpus:g}; lower NCLSCREEN_REPLICA_GPUS or NCLSCREEN_REPLICAS, "
            "or add nodes"
        )
    if not _some_node_has(hosts, CPU=hosting.cpus, GPU=hosting.gpus):
        return (
            f"no node alone has the {hosting.cpus:g} CPUs and {hosting.gpus:g} GPUs of a replica; lower "
            "NCLSCREEN_REPLICA_CPUS or NCLSCREEN_REPLICA_GPUS, or add a larger node"
        )
    if not _some_node_has(nodes, CPU=shard_cpus):
        return f"no node alone has the {shard_cpus:g} CPUs of a shard; lower NCLSCREEN_SHARD_CPUS, or add a larger node"
    return None


def _some_node_has(nodes: Sequence[Mapping[str, float]], **needed: float) -> bool:
    return any(all(node.get(kind, 0.0) >= count for kind, count in needed.items()) for node in nodes)
