"""What is copied of a run, a model version and an alias move, in the terms of an experiment tracker. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.domain import Fingerprint
from jobs.domain.registry import AliasMove, RegisteredVersion
from jobs.domain.retraining import Run, RunState
from jobs.domain.times import instant
from jobs.masking import masked

#: what all our tags begin with
PREFIX = "nclscreen."
#: the tags that things are found by
RUN_TAG, VERSION_TAG = f"{PREFIX}run", f"{PREFIX}fingerprint"
#: runs that are over, as trackers call it; the gate's answer is a tag
_STATUS = {RunState.FAILED: "FAILED", RunState.CANCELLED: "KILLED"}
#: characters; every tracker takes so much
_LONGEST_KEY, _LONGEST_VALUE = 250, 5000
_NOT_IN_KEYS = re.compile(r"[^\w./ -]", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One point of a curve, or a figure alone."""

    key: str
    value: float
    step: int
    #: milliseconds since the epoch
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """A run of retraining that is over; the same whoever copies it, and when."""

    id: str
    #: FINISHED, FAILED or KILLED
    status: str
    #: milliseconds since the epoch
    started_ms: int
    ended_ms: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRecord:
    """A registered model version."""

    fingerprint: Fingerprint
    #: the run that made it, as we call it
    run_id: str | None
    #: where its weights lie; they are not copied
    source: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveRecord:
    """One move of an alias, kept as a tag, and what the alias names now: moves may be copied in any order."""

    alias: str
    tag: tuple[str, str]
    #: the fingerprint; None where it names nothing
    now: Fingerprint | None


def run_record(run: Run, training: Mapping[str, Any] | None) -> RunRecord:
    """`training`: what the run told of its training, see `jobs.retraining.run_store.RunStore.training`."""
    told, decision = dict(training or {}), dict(run.decision or {})
    started = run.started_at or run.created_at
    ended = run.finished_at or started
    tags = {
        RUN_TAG: run.id,
        f"{PREFIX}state": run.state.value,
        f"{PREFIX}schedule": run.schedule_id,
        f"{PREFIX}parent": run.parent,
        f"{PREFIX}snapshot": run.snapshot,
        VERSION_TAG: run.fingerprint,
        f"{PREFIX}code_version": told.get("code_version"),
        f"{PREFIX}accepted": decision.get("accepted"),
        f"{PREFIX}reasons": "; ".join(decision.get("reasons", ())) or None,
        f"{PREFIX}rules": decision.get("rules"),
        "mlflow.note.content": run.error,
    }
    counts = {name: value for name, value in (run.contents or {}).items() if isinstance(value, int)}
    params = {"request": run.request, "snapshot": counts, "recipe": told.get("recipe") or {}}
    return RunRecord(
        id=run.id,
        status=_STATUS.get(run.state, "FINISHED"),
        started_ms=_ms(started),
        ended_ms=_ms(ended),
        tags=_texts(tags),
        params=_texts(dict(_leaves(params))),
        metrics=(*_curves(told.get("curves") or (), started), *_figures(decision, ended)),
    )


def version_record(version: RegisteredVersion) -> VersionRecord:
    """What is known of it."""
    tags = {
        VERSION_TAG: version.fingerprint,
        f"{PREFIX}name": version.name,
        f"{PREFIX}version": version.version,
        f"{PREFIX}weights_sha256": version.weights_sha256,
        f"{PREFIX}weights_uri": version.weights_uri,
        f"{PREFIX}threshold": version.threshold,
        f"{PREFIX}parent": version.parent,
        RUN_TAG: version.run_id,
        f"{PREFIX}snapshot": version.snapshot,
        f"{PREFIX}code_version": version.code_version,
        f"{PREFIX}registered_at": instant(version.created_at),
        f"{PREFIX}metrics": version.metrics or None,
    }
    return VersionRecord(
        fingerprint=version.fingerprint,
        run_id=version.run_id,
        source=masked(version.weights_uri),
        description=f"{version.name} {version.version}",
        tags=_texts(tags),
    )


def move_record(move: AliasMove, now: Fingerprint | None) -> MoveRecord:
    """`now`: the fingerprint that the alias names, by the last of its moves."""
    document = {
        "fingerprint": move.fingerprint,
        "actor": move.actor,
        "reason": move.reason,
        "run": move.run_id,
        "moved_at": instant(move.moved_at),
    }
    key = f"{PREFIX}{move.alias.value}.{move.number:06d}"  # in their order where they are listed by name
    return MoveRecord(alias=move.alias.value, tag=(key, _text(document)), now=now)


def _curves(rows: Any, started: float) -> Iterator[Metric]:
    """`rows`: of a metrics.csv, each with a step."""
    for row in rows:
        at, step = _ms(started + float(row.get("elapsed_s") or 0.0)), int(row["step"])
        for name, value in row.items():
            if name != "step" and _is_number(value):
                yield Metric(key=_key(f"training/{name}"), value=float(value), step=step, at_ms=at)


def _figures(decision: Mapping[str, Any], ended: float) -> Iterator[Metric]:
    for who in ("champion", "challenger"):
        for path, value in _leaves({who: decision.get(who) or {}}, "/"):
            if _is_number(value):
                yield Metric(key=_key(path), value=float(value), step=0, at_ms=_ms(ended))


def _leaves(document: Mapping[str, Any], between: str = ".") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            for below, leaf in _leaves(value, between):
                yield f"{name}{between}{below}", leaf
        else:
            yield str(name), value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Those that say something, without secrets."""
    return {_key(name): _text(value) for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return masked(text)[:_LONGEST_VALUE]


def _key(name: str) -> str:
    """Trackers take names as paths: nothing in them that leads elsewhere."""
    parts = _NOT_IN_KEYS.sub("_", name).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))[:_LONGEST_KEY].rstrip("/")


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
