"""Latencies of the stages of screening, among the metrics that Ray serves on every node."""

from __future__ import annotations

from jobs.screening.stage_times import NoteTime

#: as Prometheus sees it: Ray puts its own word before the name, and these labels beside others of its own
STAGE_METRIC = "ray_nclscreen_stage_seconds"
STAGE_LABELS = ("stage",)
#: seconds: from a file that lies beside us to a storage that says nothing for a minute
_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]


def stage_times() -> NoteTime:
    """Takes what a worker on Ray tells of its stages. No label is a job or a model: there may be any number of them."""
    from ray.util.metrics import Histogram

    histogram = Histogram(
        STAGE_METRIC.removeprefix("ray_"),
        description="Seconds that a stage of screening took: fetch, decode, save (an image), score (a batch)",
        boundaries=_BOUNDS,
        tag_keys=STAGE_LABELS,
    )
    return lambda stage, took_s: histogram.observe(took_s, tags={"stage": stage})
