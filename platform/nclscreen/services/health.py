"""Whether everything that is needed works: database, storages, model, Ray. A check says what is there, or ails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs.domain import ImageKey
from jobs.errors import JobsError
from jobs.storage import parse_source
from ncl_model.errors import NclModelError
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    part: str
    ok: bool
    #: what is there, or what is wrong and what to do
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One look at one part. It may take some seconds."""

    part: str
    look: Callable[[], str]

    def __call__(self) -> Finding:
        try:
            return Finding(part=self.part, ok=True, message=self.look())
        except (JobsError, NclModelError) as error:
            return Finding(part=self.part, ok=False, message=str(error))
        except Exception as error:  # noqa: BLE001 - a doctor reports whatever ails
            return Finding(part=self.part, ok=False, message=f"{type(error).__name__}: {error}")


def health_checks(wiring: Wiring, source: str | None = None) -> Iterator[Check]:
    """The checks, in the order in which they are best made; `source` is one more place to be read."""
    yield Check(part="database", look=lambda: database(wiring))
    yield Check(part="heatmaps", look=lambda: heatmaps(wiring))
    if source is not None:
        yield Check(part="source", look=lambda: readable(wiring, source))
    yield Check(part="model", look=lambda: model(wiring))
    yield Check(part="ray", look=lambda: ray_cluster(wiring))


def database(wiring: Wiring) -> str:
    url = wiring.engine.url.render_as_string(hide_password=True)
    waiting = len(wiring.jobs.latest(1))
    return f"{url}, schema is current, {'has jobs' if waiting else 'no jobs yet'}"


def heatmaps(wiring: Wiring) -> str:
    parsed = parse_source(wiring.settings.effective_heatmaps_uri)
    prefix = f"{parsed.prefix.rstrip('/')}/" if parsed.prefix else ""
    uri = wiring.open_storage(parsed.container).write(
        ImageKey(f"{prefix}doctor.txt"), b"nclscreen doctor was here\n", content_type="text/plain"
    )
    return f"can write {uri}"


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


def ray_cluster(wiring: Wiring) -> str:
    import ray

    from nclscreen.hosting.ray_connection import connected_ray

    wanted = wiring.ray_options()
    with connected_ray(wanted):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        cpus = ray.cluster_resources().get("CPU", 0)
        gpus = ray.cluster_resources().get("GPU", 0)
    where = wanted.address or "local"
    if cpus < wanted.needed_cpus:
        raise JobsError(
            f"{where}: {cpus:g} CPUs, but replicas and shards ask for {wanted.needed_cpus:g}; lower "
            "NCLSCREEN_REPLICA_CPUS, NCLSCREEN_SHARDS_IN_FLIGHT or NCLSCREEN_SHARD_CPUS, or add nodes"
        )
    return f"{where}: Ray {ray.__version__}, {len(nodes)} node(s), {cpus:g} CPUs, {gpus:g} GPUs"
