"""What a screening worker is made of. Nothing that is imported from here knows a database."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.limits import ScreeningLimits
from jobs.screening.shard_screener import ShardScreener
from jobs.screening.stage_times import TimedHeatmaps, TimedScorer, timed_storages
from jobs.storage import S3Options, open_storage, parse_source
from nclscreen.hosting.scorer import ServeScorer
from nclscreen.hosting.worker_metrics import stage_times


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenerPlan:
    """What a screening worker gets: plain data. Storages, scorer and screener are built there, by calling it."""

    scorer: ServeScorer
    s3: S3Options
    #: a folder or s3://bucket/prefix
    heatmaps_uri: str
    #: whose are kept: flagged, all or none
    heatmaps: str
    limits: ScreeningLimits

    def __call__(self) -> ShardScreener:
        parsed, note = parse_source(self.heatmaps_uri), stage_times()
        heatmaps = StoredHeatmaps(open_storage(parsed.container, self.s3), parsed.prefix)
        return ShardScreener(
            open_storage=timed_storages(lambda container: open_storage(container, self.s3), note),
            scorer=TimedScorer(self.scorer, note),
            heatmaps=TimedHeatmaps(heatmaps, note),
            keep_heatmap=lambda flagged: self.heatmaps == "all" or (self.heatmaps == "flagged" and flagged),
            limits=self.limits,
        )
