"""Copies at an MLflow tracking server, through its own client (`pip install 'nclscreen[mlflow]'`).

Nothing there has a key of ours, so that everything is looked for by a tag before it is made. Who makes it may be slow
and overtaken by somebody who was given his work: so it is looked for once more afterwards, and the first one stays.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from jobs.domain import Fingerprint
from jobs.masking import masked
from jobs.mirroring.errors import MirrorAway, MirrorRefused
from jobs.mirroring.records import RUN_TAG, VERSION_TAG, MoveRecord, RunRecord, VersionRecord

logger = logging.getLogger(__name__)

#: how MLflow's client is to behave here, unless the operator says otherwise: it waits and tries again for minutes,
#: prints addresses on standard output, logs on standard error, and tells its makers how it is used
_MANNERS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
_NOT_INSTALLED = "its client is not installed here; install it with: pip install 'nclscreen[mlflow]'"
#: HTTP: who asks is not let in, or too soon
_WAIT = frozenset({401, 403, 408, 429})
#: MLflow's limits for one request
_METRICS, _PARAMS = 1000, 100
_NOT_IN_MODEL_NAMES = re.compile(r"[/:]")
_EXISTS, _MISSING = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"

GoingOn = Callable[[], None]


class MlflowMirror:
    """One experiment, and the registered model of the same name."""

    def __init__(self, uri: str, experiment: str) -> None:
        """`uri`: as `MLFLOW_TRACKING_URI` has it, perhaps with a password in it."""
        self._uri = uri
        self._experiment = experiment
        self._model = _NOT_IN_MODEL_NAMES.sub("-", experiment)

    @property
    def place(self) -> str:
        """For people."""
        return masked(self._uri)

    def check(self) -> None:
        """Whether it answers. Raises MirrorAway, MirrorRefused."""
        with self._telling("a question"):
            self._client.search_experiments(max_results=1)

    def put_run(self, run: RunRecord, going_on: GoingOn) -> None:
        """Make it, or go on with what was made of it. Raises MirrorAway, MirrorRefused, and what `going_on` raises."""
        with self._telling(f"run {run.id}"):
            going_on()
            experiment = self._experiment_id()
            found = self._runs(experiment, run.id)
            if not found:
                going_on()
                self._client.create_run(experiment, start_time=run.started_ms, run_name=run.id, tags={RUN_TAG: run.id})
                found = self._runs(experiment, run.id)
            for double in found[1:]:
                self._client.delete_run(double)
            self._fill(found[0], run, going_on)

    def put_version(self, version: VersionRecord, going_on: GoingOn) -> None:
        """Register it, once. Raises MirrorAway, MirrorRefused, and what `going_on` raises."""
        with self._telling(f"model version {version.fingerprint[:12]}"):
            going_on()
            if not self._versions(version.fingerprint):
                self._make_model()
                made_by = self._runs(self._experiment_id(), version.run_id) if version.run_id else []
                going_on()
                self._client.create_model_version(
                    self._model,
                    _source(version),
                    run_id=made_by[0] if made_by else None,
                    tags=dict(version.tags),
                    description=version.description,
                    await_creation_for=0,
                )
            for double in self._versions(version.fingerprint)[1:]:
                self._client.delete_model_version(self._model, str(double))

    def put_move(self, move: MoveRecord, going_on: GoingOn) -> None:
        """Keep it as a tag, and have the alias name what it names now. Raises as `put_version` does."""
        with self._telling(f"a move of {move.alias}"):
            going_on()
            found = [] if move.now is None else self._versions(move.now)
            if move.now is not None and not found:
                raise MirrorRefused(f"a move of {move.alias}", f"model version {move.now[:12]} is not there yet")
            going_on()
            self._make_model()
            self._client.set_registered_model_tag(self._model, *move.tag)
            if found:
                self._client.set_registered_model_alias(self._model, move.alias, str(found[0]))
            else:
                self._client.delete_registered_model_alias(self._model, move.alias)

    @cached_property
    def _client(self) -> Any:
        """Raises ImportError."""
        for name, value in _MANNERS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Raises MirrorAway, MirrorRefused for what the client says."""
        try:
            _ = self._client
        except ImportError as error:
            raise MirrorAway(self.place, _NOT_INSTALLED) from error
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:  # of the network, too
            status = error.get_http_status_code()
            if status >= 500 or status in _WAIT:
                raise MirrorAway(self.place, _first_line(error)) from error
            raise MirrorRefused(what, _first_line(error)) from error

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            with _unless(_EXISTS):
                self._client.create_experiment(self._experiment)
            found = self._client.get_experiment_by_name(self._experiment)
        return str(found.experiment_id)

    def _make_model(self) -> None:
        with _unless(_EXISTS):
            self._client.create_registered_model(self._model)

    def _runs(self, experiment: str, run_id: str) -> list[str]:
        """MLflow's ids of our run, always in the same order."""
        return sorted(run.info.run_id for run in self._client.search_runs([experiment], _tagged(RUN_TAG, run_id)))

    def _versions(self, fingerprint: Fingerprint) -> list[int]:
        """MLflow's numbers of our version, the first one first."""
        wanted = f"name = '{_quoted(self._model)}' AND {_tagged(VERSION_TAG, fingerprint)}"
        found: list[int] = []
        with _unless(_MISSING):
            found = [int(each.version) for each in self._client.search_model_versions(wanted)]
        return sorted(found)

    def _fill(self, there: str, run: RunRecord, going_on: GoingOn) -> None:
        """What is there already is the same, and stays once."""
        from mlflow.entities import Metric, Param, RunTag

        tags = [RunTag(name, value) for name, value in run.tags.items()]
        params = [Param(name, value) for name, value in run.params.items()]
        metrics = [Metric(each.key, each.value, each.at_ms, each.step) for each in run.metrics]
        for some in _portions(tags, _PARAMS):
            going_on()
            self._client.log_batch(there, tags=some)
        for some in _portions(params, _PARAMS):
            going_on()
            self._client.log_batch(there, params=some)
        for some in _portions(metrics, _METRICS):
            going_on()
            self._client.log_batch(there, metrics=some)
        going_on()
        self._client.set_terminated(there, run.status, run.ended_ms)


@contextmanager
def _unless(code: str) -> Iterator[None]:
    """Go on behind the block where MLflow says this."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise


def _source(version: VersionRecord) -> str:
    """Where its weights lie, as far as MLflow takes it: it allows no path of a machine. A tag has the place in full."""
    return (
        version.source
        if "://" in version.source and not version.source.startswith("file:")
        else (f"nclscreen://models/{version.fingerprint}")
    )


def _tagged(tag: str, value: str) -> str:
    return f"tags.`{tag}` = '{_quoted(value)}'"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _portions(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _first_line(error: BaseException) -> str:
    return masked(str(error).strip().partition("\n")[0][:500]) or type(error).__name__
