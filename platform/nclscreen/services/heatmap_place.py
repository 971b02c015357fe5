"""Whether the place of heatmaps is one place for all nodes of a cluster."""

from __future__ import annotations

from jobs.errors import JobsError
from jobs.storage import parse_source
from nclscreen.settings import Settings


class HeatmapsNotShared(JobsError):
    """A folder is where heatmaps are to go, on a cluster whose nodes may each have a folder of that name."""

    def __init__(self, place: str, nodes: int) -> None:
        self.place = place
        self.nodes = nodes
        super().__init__(
            f"heatmaps would go to the folder {place} on each of {nodes} nodes, and be lost to the others: set "
            "NCLSCREEN_HEATMAPS_URI to s3://bucket/prefix, or NCLSCREEN_HEATMAPS_SHARED=true where every node has the "
            "same folder there, or NCLSCREEN_HEATMAPS=none"
        )


def check_heatmap_place(settings: Settings, nodes: int) -> None:
    """Raises HeatmapsNotShared."""
    place = settings.effective_heatmaps_uri
    is_folder = parse_source(place).container.startswith("file:")
    if settings.heatmaps != "none" and is_folder and nodes > 1 and not settings.heatmaps_shared:
        raise HeatmapsNotShared(place, nodes)
