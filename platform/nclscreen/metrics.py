"""Figures of the database for Prometheus, read when it asks. No label is a job or an image: there may be millions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.domain import WorkKind
from jobs.domain.retraining import RunState
from jobs.domain.reviews import SecondLook
from jobs.domain.states import JobState
from jobs.operations.figures import Figures

#: several that ask at once, or one that asks often, put no load on the database
_FRESH_S = 5.0
#: name, labels, what it is; kept equal to docs/metrics.md by tests/unit/test_metrics.py. `_total`: a counter
METRICS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("nclscreen_jobs", ("state",), "Jobs by state"),
    ("nclscreen_jobs_held_up", (), "Jobs that are not over and wait: what they need is away, or was tried in vain"),
    ("nclscreen_oldest_job_seconds", (), "Seconds since the oldest job that is not over was submitted"),
    ("nclscreen_images", ("outcome",), "Images of all jobs that are there: scored, reused, failed, waiting"),
    ("nclscreen_images_recorded_total", ("outcome",), "Images that got a verdict: scored, reused, failed"),
    ("nclscreen_images_flagged", (), "Images that are flagged"),
    ("nclscreen_shards", ("state",), "Shards that are queued, leased, or expired: leased, and their lease has run out"),
    ("nclscreen_queue_age_seconds", (), "Longest time that an open job with waiting shards had no turn"),
    (
        "nclscreen_work",
        ("kind", "state"),
        "Slow work: preparing, reports, webhooks, deletions, ticks, runs, copies at MLflow",
    ),
    ("nclscreen_overdue_lease_seconds", (), "Seconds since the first lease ran out that nobody has taken back"),
    ("nclscreen_retries_total", ("kind", "reason"), "Shards and slow work that expired, vanished or failed"),
    ("nclscreen_dispatchers", (), "Dispatchers that gave a sign of life lately"),
    ("nclscreen_hosted_models", ("model", "state"), "Dispatchers that host a model version, by its state"),
    ("nclscreen_images_unreviewed", (), "Flagged images that nobody has reviewed"),
    ("nclscreen_oldest_unreviewed_seconds", (), "Seconds since the oldest job with such images was submitted"),
    ("nclscreen_second_looks", ("state",), "Images on which two people decide, by where they stand"),
    ("nclscreen_training_runs", ("state",), "Runs of retraining by state"),
    ("nclscreen_oldest_run_seconds", (), "Seconds since the oldest run that is not over was asked for"),
    ("nclscreen_scrape_seconds", (), "Seconds that the database took to answer"),
)
_JOBS = {state.value: 0 for state in JobState}
_RUNS = {state.value: 0 for state in RunState}
_LOOKS = {state.value: 0 for state in SecondLook}
_WORK = {(kind.value, state): 0 for kind in WorkKind for state in ("queued", "leased", "failed")}
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"


class Metrics(Collector):
    """The figures as Prometheus reads them. Thread-safe."""

    def __init__(self, read: Callable[[], Figures], now: Callable[[], float] = time.monotonic) -> None:
        """`read`: counts; what it raises, `text` raises."""
        self._read = read
        self._now = now
        self._lock = threading.Lock()
        self._known: tuple[float, Figures, float] | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """In the text format: https://prometheus.io/docs/instrumenting/exposition_formats/."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Without asking the database: the registry wants to know before anybody does."""
        return [_family(*each) for each in METRICS]

    def collect(self) -> Iterable[Metric]:
        """Every metric with its values."""
        found, took = self._figures()
        values = _values(found, took)
        for name, labels, about in METRICS:
            family = _family(name, labels, about)
            for key, value in sorted(values[name].items()):
                family.add_metric([key] if isinstance(key, str) else list(key), value)
            yield family

    def _figures(self) -> tuple[Figures, float]:
        with self._lock:
            began = self._now()
            if self._known is None or began - self._known[0] > _FRESH_S:
                found = self._read()
                self._known = (began, found, self._now() - began)
            return self._known[1], self._known[2]


def _family(name: str, labels: tuple[str, ...], about: str) -> Any:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, about, labels=labels)


def _values(found: Figures, took: float) -> dict[str, Mapping[Any, float]]:
    """What there can be is there from the beginning, as 0: a rule sees it change when it happens for the first time."""
    outcomes = {name: count for name, count in found.images.items() if name != "flagged"}
    return {
        "nclscreen_jobs": _JOBS | dict(found.jobs),
        "nclscreen_jobs_held_up": {(): found.held_up},
        "nclscreen_oldest_job_seconds": {(): found.oldest_job_s},
        "nclscreen_images": outcomes,
        "nclscreen_images_recorded_total": found.recorded,
        "nclscreen_images_flagged": {(): found.images["flagged"]},
        "nclscreen_shards": found.shards,
        "nclscreen_queue_age_seconds": {(): found.queue_age_s},
        "nclscreen_work": _WORK | dict(found.work),
        "nclscreen_overdue_lease_seconds": {(): found.overdue_lease_s},
        "nclscreen_retries_total": found.retries,
        "nclscreen_dispatchers": {(): found.dispatchers},
        "nclscreen_hosted_models": found.hosted,
        "nclscreen_images_unreviewed": {(): found.unreviewed},
        "nclscreen_oldest_unreviewed_seconds": {(): found.oldest_unreviewed_s},
        "nclscreen_second_looks": _LOOKS | dict(found.second_looks),
        "nclscreen_training_runs": _RUNS | dict(found.runs),
        "nclscreen_oldest_run_seconds": {(): found.oldest_run_s},
        "nclscreen_scrape_seconds": {(): took},
    }
