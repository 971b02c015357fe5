"""`doctor`: looks whether everything that is needed works, and says what to mend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from jobs.errors import JobsError
from jobs.storage import parse_source
from ncl_model.errors import NclModelError
from nclscreen.cli import output
from nclscreen.wiring import Wiring, wire


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    part: str
    ok: bool
    #: what is there, or what is wrong and what to do
    message: str


def doctor(
    source: Annotated[str | None, typer.Option(help="Also check that this folder or s3://bucket can be read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Check database, storage, model and Ray, and say what to mend."""
    wiring = wire()
    checks: list[tuple[str, Callable[[Wiring], str]]] = [("database", _database), ("heatmaps", _heatmaps)]
    if source is not None:
        checks.append(("source", lambda _: _source(wiring, source)))
    checks += [("model", _model), ("ray", _ray)]
    findings = []
    for part, look in checks:
        with output.err.status(f"checking {part}"):
            findings.append(_examine(part, look, wiring))
    if as_json:
        parts: list[dict[str, Any]] = [{"part": f.part, "ok": f.ok, "message": f.message} for f in findings]
        output.print_json({"ok": all(f.ok for f in findings), "checks": parts})
    else:
        output.out.print(_table(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(output.FAILED)


def _examine(part: str, look: Callable[[Wiring], str], wiring: Wiring) -> Finding:
    try:
        return Finding(part=part, ok=True, message=look(wiring))
    except (JobsError, NclModelError) as error:
        return Finding(part=part, ok=False, message=str(error))
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever ails
        return Finding(part=part, ok=False, message=f"{type(error).__name__}: {error}")


def _database(wiring: Wiring) -> str:
    url = wiring.engine.url.render_as_string(hide_password=True)
    waiting = len(wiring.jobs.latest(1))
    return f"{url}, schema is current, {'has jobs' if waiting else 'no jobs yet'}"


def _heatmaps(wiring: Wiring) -> str:
    from jobs.domain import ImageKey

    parsed = parse_source(wiring.settings.effective_heatmaps_uri)
    prefix = f"{parsed.prefix.rstrip('/')}/" if parsed.prefix else ""
    uri = wiring.open_storage(parsed.container).write(
        ImageKey(f"{prefix}doctor.txt"), b"nclscreen doctor was here\n", content_type="text/plain"
    )
    return f"can write {uri}"


def _source(wiring: Wiring, source: str) -> str:
    parsed = parse_source(source)
    storage = wiring.open_storage(parsed.container)
    storage.check()
    first = next(iter(storage.list_objects(parsed.prefix)), None)
    return f"can read {storage.container}" + ("" if first else ", but there is nothing under this prefix")


def _model(wiring: Wiring) -> str:
    import numpy as np

    from ncl_model.inference.predictor import Predictor

    predictor = Predictor.setup(wiring.weights, wiring.settings.precision)
    probabilities = predictor.predict(np.zeros((1, 64, 64, 3), np.uint8))
    if not np.isfinite(probabilities).all():
        raise NclModelError(f"{wiring.weights} gives no finite probabilities; set NCLSCREEN_PRECISION=float32")
    calibration = wiring.calibration
    rates = "no calibration for --max-fpr"
    if calibration is not None:
        rates = f"--max-fpr from {calibration.least_rate:.2g} on ({calibration.photographs} authentic photographs)"
    return f"{wiring.model.name} ({wiring.model.fingerprint[:12]}), threshold {wiring.threshold():.3f}, {rates}"


def _ray(wiring: Wiring) -> str:
    import ray

    from nclscreen.runtime import connected_ray

    with connected_ray(wiring.runtime_options()):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        cpus = ray.cluster_resources().get("CPU", 0)
        gpus = ray.cluster_resources().get("GPU", 0)
    where = wiring.settings.ray_address or "local"
    wanted = wiring.runtime_options().needed_cpus
    if cpus < wanted:
        raise JobsError(
            f"{where}: {cpus:g} CPUs, but replicas and shards ask for {wanted:g}; lower NCLSCREEN_REPLICA_CPUS, "
            "NCLSCREEN_SHARDS_IN_FLIGHT or NCLSCREEN_SHARD_CPUS, or add nodes"
        )
    return f"{where}: Ray {ray.__version__}, {len(nodes)} node(s), {cpus:g} CPUs, {gpus:g} GPUs"


def _table(findings: list[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        mark = Text("ok", style="green") if finding.ok else Text("mend", style="bold red")
        table.add_row(mark, finding.part, Text(finding.message))
    return table
