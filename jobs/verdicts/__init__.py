"""Questions to the verdicts: filtered pages, one image, summaries. All answers come in short transactions."""

from jobs.verdicts.filters import Change, VerdictFilter
from jobs.verdicts.finding import find_image
from jobs.verdicts.replay import Replay, Replayed
from jobs.verdicts.rows import FoundVerdict
from jobs.verdicts.store import VerdictStore
from jobs.verdicts.summaries import HISTOGRAM_BINS

__all__ = [
    "HISTOGRAM_BINS",
    "Change",
    "FoundVerdict",
    "Replay",
    "Replayed",
    "VerdictFilter",
    "VerdictStore",
    "find_image",
]
