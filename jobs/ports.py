"""What the job layer needs from outside: protocols, so that pure logic never imports Ray, boto3 or SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Fingerprint, Lease, ShardId, Verdict
from jobs.spans import Timed
from ncl_model.imaging.decoding import DecodedImage


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoredImage:
    """What the model says about one image, small enough to travel."""

    #: in [0, 1]
    score: float
    #: share of pixels at or above each of `ncl_model.inference.scoring.AREA_CUTOFFS`
    tampered_areas: tuple[float, ...]
    #: (valid_height, valid_width) uint8, 255 = probability 1
    heatmap: NDArray[np.uint8]
    #: which kinds of evidence speak how loudly: a document of `ncl_model.inference.evidence.Evidence`; None where the
    #: model has one kind alone
    evidence: Mapping[str, Any] | None = None


class Scorer(Protocol):
    """The model, wherever it is hosted. Thread-safe."""

    def decode(self, data: bytes, fingerprint: Fingerprint) -> DecodedImage:
        """File bytes to a canvas in the geometry of this model. Raises `ncl_model.errors.ImageUnreadable`.

        Raises ModelUnavailable, too: who does not know the geometry has to ask the model.
        """

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]:
        """Score images of one canvas shape, in their order, by the model of this fingerprint.

        Raises:
            ModelFailed: the model raised; the batch, or one image in it, is at fault.
            ModelUnavailable: nobody answers now, also after retries.
            ModelMismatch: another model is hosted where this one should be.
        """


class ModelHost(Protocol):
    """Which model versions answer now. Shards are claimed for these alone; other jobs wait."""

    def ready(self) -> Collection[Fingerprint]:
        """Their fingerprints. Asked several times a second: returns at once. Thread-safe."""


class HeatmapStorage(Protocol):
    """Where heatmaps are kept."""

    def serves(self, uri: str) -> bool:
        """Whether this heatmap of an earlier job is still there. Raises StorageUnavailable."""

    def save(self, lease: Lease, ordinal: int, heatmap: NDArray[np.uint8]) -> str:
        """Keep one heatmap under a name of this attempt's own; returns its URI. Raises StorageError."""


#: given whether an image is flagged, if its heatmap is kept
KeepHeatmap = Callable[[bool], bool]


class Screener(Protocol):
    """Turns leased shards into verdicts; several may be screened at once, from several threads."""

    def screen(self, lease: Lease) -> list[Verdict]:
        """One verdict for each image of the shard, in order.

        What it raises is told as an outcome (`jobs.screening.attempt`).
        """

    def abandon(self, lease: Lease) -> None:
        """Let a shard go that is being screened; does nothing for any other."""

    def silence(self) -> Mapping[ShardId, float]:
        """For each shard that is being screened, seconds since it made progress; 0 while it waits its turn."""

    def close(self) -> None:
        """Let everything go."""


class OutcomeKind(StrEnum):
    """How an attempt at a shard ended."""

    #: every image has its verdict
    FINISHED = "finished"
    #: the model of this job does not answer, or another one does: nobody's fault, jobs of other models go on
    MODEL_AWAY = "model_away"
    #: the storage of heatmaps is away: nobody's fault, try again later
    UNAVAILABLE = "unavailable"
    #: the storage of the images is away: this job waits, others need not
    STORAGE_AWAY = "storage_away"
    #: an error that another attempt may or may not meet again
    BROKEN = "broken"
    #: the worker process or its node died, or gave no sign of life any more
    CRASHED = "crashed"
    #: nobody's fault: its worker ended because of another shard, or it never began
    GIVEN_BACK = "given_back"
    #: the job cannot go on at all
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of one attempt at one shard."""

    lease: Lease
    kind: OutcomeKind
    verdicts: tuple[Verdict, ...] = ()
    reason: str = ""
    #: where and how long it was worked on; None: nobody asked, or nobody is left to tell
    timed: Timed | None = None


class ShardRunner(Protocol):
    """Runs shards somewhere else, several at once. For one thread."""

    @property
    def free(self) -> int:
        """How many shards could start at once now: no more are claimed."""

    def make_room(self, shards: int) -> None:
        """So many more shards wait than could start: get more workers, as far as that goes; returns at once."""

    def allow(self, shards: int) -> None:
        """So many shards at once from now on: workers beyond that get no more, and end without a shard."""

    @property
    def lacks(self) -> str | None:
        """What is missing for more workers, for people, when it was missing for some seconds."""

    def start(self, lease: Lease) -> None:
        """Begin with a shard; returns at once."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Outcomes since the last call; waits up to `timeout_s` for the first one, if any runs.

        Shards that make no progress for too long have an outcome, too.
        """

    @property
    def running(self) -> list[Lease]:
        """Leases that were started and have no outcome yet."""

    def silence(self) -> Mapping[ShardId, float]:
        """For each of these, seconds since it was last known to go on."""

    def abandon(self, leases: Sequence[Lease]) -> None:
        """Stop working on these as far as possible; they will have no outcome."""
