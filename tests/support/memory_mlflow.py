"""An MLflow tracking server in memory, as far as copies are made there, that breaks when it is told to."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mlflow.exceptions import MlflowException, RestException


@dataclass
class StoredRun:
    """A run there."""

    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    #: (key, value, time, step): the server keeps equal ones once
    metrics: set[tuple[str, float, int, int]] = field(default_factory=set)
    status: str = "RUNNING"
    ended_ms: int | None = None


@dataclass
class StoredVersion:
    """A model version there."""

    source: str
    run_id: str | None
    tags: dict[str, str]


class MemoryMlflow:
    """What `mlflow.MlflowClient` does, of which several see one server."""

    def __init__(self) -> None:
        self.experiments: list[str] = []
        self.runs: dict[str, StoredRun] = {}
        self.models: dict[str, dict[str, str]] = {}
        self.versions: dict[int, StoredVersion] = {}
        self.aliases: dict[str, str] = {}
        #: every request so far
        self.calls: list[str] = []
        #: called before each request, with its name: may raise
        self.before: Callable[[str], None] = lambda name: None
        #: called after it was done, with its name: may raise, as an answer that is lost
        self.after: Callable[[str], None] = lambda name: None
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("_") or not callable(found) or name in ("before", "after"):
            return found

        def asked(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            self.before(name)
            with self._lock:
                answer = found(*args, **options)
            self.after(name)
            return answer

        return asked

    def search_experiments(self, max_results: int) -> list[str]:
        return self.experiments[:max_results]

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        if name in self.experiments:
            raise _refusal("RESOURCE_ALREADY_EXISTS")
        self.experiments.append(name)
        return name

    def search_runs(self, experiments: Sequence[str], wanted: str) -> list[SimpleNamespace]:
        tag, value = _tag_of(wanted)
        return [
            SimpleNamespace(info=SimpleNamespace(run_id=key))
            for key, run in self.runs.items()
            if run.tags.get(tag) == value
        ]

    def create_run(self, experiment: str, *, start_time: int, run_name: str, tags: dict[str, str]) -> None:
        self.runs[f"{next(self._ids):032d}"] = StoredRun(tags=dict(tags))

    def delete_run(self, key: str) -> None:
        del self.runs[key]

    def log_batch(
        self, key: str, *, metrics: Sequence[Any] = (), params: Sequence[Any] = (), tags: Sequence[Any] = ()
    ) -> None:
        run = self.runs[key]
        run.tags |= {each.key: each.value for each in tags}
        run.params |= {each.key: each.value for each in params}
        run.metrics |= {(each.key, each.value, each.timestamp, each.step) for each in metrics}

    def set_terminated(self, key: str, status: str, ended_ms: int) -> None:
        self.runs[key].status, self.runs[key].ended_ms = status, ended_ms

    def create_registered_model(self, name: str) -> None:
        if name in self.models:
            raise _refusal("RESOURCE_ALREADY_EXISTS")
        self.models[name] = {}

    def search_model_versions(self, wanted: str) -> list[SimpleNamespace]:
        tag, value = _tag_of(wanted)
        found = [key for key, version in self.versions.items() if version.tags.get(tag) == value]
        return [SimpleNamespace(version=str(key)) for key in reversed(found)]

    def create_model_version(
        self, name: str, source: str, *, run_id: str | None, tags: dict[str, str], **options: object
    ) -> None:
        self.versions[max(self.versions, default=0) + 1] = StoredVersion(source=source, run_id=run_id, tags=tags)

    def delete_model_version(self, name: str, version: str) -> None:
        del self.versions[int(version)]

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        self.models[name][key] = value

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        assert int(version) in self.versions
        self.aliases[alias] = version

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        self.aliases.pop(alias, None)


def away() -> MlflowException:
    """What the client raises for a server that does not answer."""
    return MlflowException("API request to http://me:hunter2-secret@mlflow:5000/api failed with exception: refused")


def _refusal(code: str) -> RestException:
    return RestException({"error_code": code, "message": "so it is"})


def refusal() -> RestException:
    """What it raises for a server that does not take something."""
    return _refusal("INVALID_PARAMETER_VALUE")


def _tag_of(wanted: str) -> tuple[str, str]:
    found = re.search(r"tags\.`([^`]+)` = '([^']*)'", wanted)
    assert found, wanted
    return found[1], found[2]
