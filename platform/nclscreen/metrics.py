"""Figures of the database for Prometheus, read when it asks. No label is a job or an image: there may be millions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.operations.figures import Figures

#: several that ask at once, or one that asks often, put no load on the database
_FRESH_S = 5.0
#: name, labels, what it is; kept equal to docs/metrics.md by tests/unit/test_metrics.py
METRICS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("nclscreen_jobs", ("state",), "Jobs by state"),
    ("nclscreen_images", ("outcome",), "Images of all jobs that are there: scored, reused, failed, waiting"),
    ("nclscreen_images_flagged", (), "Images that are flagged"),
    ("nclscreen_images_unreviewed", (), "Flagged images that nobody has reviewed"),
    ("nclscreen_oldest_job_seconds", (), "Seconds since the oldest job that is not over was submitted"),
    ("nclscreen_shards", ("state",), "Shards that are queued, leased, or expired: leased, and their lease has run out"),
    (
        "nclscreen_work",
        ("kind", "state"),
        "Slow work: preparing, reports, webhooks, deletions, ticks, runs",
    ),
    ("nclscreen_dispatchers", (), "Dispatchers that gave a sign of life lately"),
    ("nclscreen_hosted_models", ("model", "state"), "Dispatchers that host a model version, by its state"),
    ("nclscreen_training_runs", ("state",), "Runs of retraining by state"),
    ("nclscreen_scrape_seconds", (), "Seconds that the database took to answer"),
)
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
        return [GaugeMetricFamily(name, about) for name, _, about in METRICS]

    def collect(self) -> Iterable[Metric]:
        """Every metric with its values."""
        found, took = self._figures()
        values = _values(found, took)
        for name, labels, about in METRICS:
            family = GaugeMetricFamily(name, about, labels=labels)
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


def _values(found: Figures, took: float) -> dict[str, Mapping[Any, float]]:
    outcomes = {name: count for name, count in found.images.items() if name != "flagged"}
    return {
        "nclscreen_jobs": found.jobs,
        "nclscreen_images": outcomes,
        "nclscreen_images_flagged": {(): found.images["flagged"]},
        "nclscreen_images_unreviewed": {(): found.unreviewed},
        "nclscreen_oldest_job_seconds": {(): found.oldest_job_s},
        "nclscreen_shards": found.shards,
        "nclscreen_work": found.work,
        "nclscreen_dispatchers": {(): found.dispatchers},
        "nclscreen_hosted_models": found.hosted,
        "nclscreen_training_runs": found.runs,
        "nclscreen_scrape_seconds": {(): took},
    }
