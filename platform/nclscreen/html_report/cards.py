"""Flagged images with their pictures, drawn a few at a time: never all of them in memory."""

from __future__ import annotations

import base64
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256

from PIL import Image

from jobs.domain import Verdict
from jobs.errors import InvalidSource, StorageError
from jobs.sql.rows import tampered_area
from jobs.storage import OpenStorage
from ncl_model.copy_move import CopiedPair
from ncl_model.errors import ImageUnreadable
from nclscreen.evidence_text import evidence_of, fired_in, remarks, scores_in_words, sentences
from nclscreen.html_report.limits import ReportLimits
from nclscreen.pictures import draw_copies, overlay, upright_photo
from nclscreen.signal_text import signal_sentences
from nclscreen.stored_heatmaps import HeatmapMissing, ReadHeatmap, heatmap_reader
from nclscreen.visible_text import visible_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A JPEG as the page holds it."""

    data_uri: str
    #: pixels
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One flagged image of the page."""

    rank: int
    verdict: Verdict
    #: share of the image at probability 0.5 or more, in [0, 1]
    area: float
    photo: Picture | None = None
    overlay: Picture | None = None
    #: the evidence that fired, in words, and what else is to be said of it
    evidence: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    #: what each kind of evidence alone would give as the score; empty without any
    scores: str = ""
    #: what a reader must know about missing or changed pictures
    notes: tuple[str, ...] = ()


class CardMaker:
    """Turns verdicts into cards, in their order."""

    def __init__(
        self, open_storage: OpenStorage, limits: ReportLimits, read_heatmap: ReadHeatmap | None, threshold: float
    ) -> None:
        """`threshold`: from which the job flags."""
        self._open_storage = open_storage
        self._limits = limits
        self._read_heatmap = read_heatmap or heatmap_reader(open_storage)
        self._threshold = threshold

    def cards(self, verdicts: Iterable[Verdict]) -> Iterator[Card]:
        """Cards one after the other; at most twice as many in memory as there are fetchers."""
        window: deque[Future[Card]] = deque()
        pool = ThreadPoolExecutor(self._limits.fetchers, thread_name_prefix="report")
        try:
            for rank, verdict in enumerate(verdicts, 1):
                if len(window) >= 2 * self._limits.fetchers:
                    yield window.popleft().result()
                window.append(pool.submit(self._card, rank, verdict))
            while window:
                yield window.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _card(self, rank: int, verdict: Verdict) -> Card:
        """A picture that cannot be shown any more costs the card its picture, never the report."""
        evidence = evidence_of(verdict.evidence)
        kinds = fired_in(verdict, self._threshold)
        card = Card(
            rank=rank,
            verdict=verdict,
            area=tampered_area(verdict) or 0.0,
            evidence=sentences(evidence, kinds),
            remarks=(*remarks(evidence, kinds), *signal_sentences(verdict.signals)),
            scores=scores_in_words(evidence),
        )
        return self._illustrated(card, () if evidence is None else evidence.copies)

    def _illustrated(self, card: Card, copies: Sequence[CopiedPair]) -> Card:
        verdict = card.verdict
        try:
            photo, notes = self._photo(verdict)
        except StorageError as error:
            return replace(card, notes=(_no_photo(error.reason),))
        except (ImageUnreadable, InvalidSource) as error:
            return replace(card, notes=(_no_photo(str(error)),))
        try:
            shown = self._picture(draw_copies(overlay(photo, self._read_heatmap(verdict)), copies))
        except (StorageError, InvalidSource, HeatmapMissing) as error:
            reason = error.reason if isinstance(error, StorageError) else str(error)
            shown, notes = None, (*notes, visible_text(f"The heatmap cannot be shown: {reason}."))
        return replace(card, photo=self._picture(photo), overlay=shown, notes=notes)

    def _photo(self, verdict: Verdict) -> tuple[Image.Image, tuple[str, ...]]:
        storage = self._open_storage(verdict.container)
        data = storage.read(verdict.key, version_id=verdict.version_id, max_bytes=self._limits.max_image_bytes)
        photo = upright_photo(data, self._limits.picture_side)
        if verdict.sha256 is not None and sha256(data).hexdigest() != verdict.sha256:
            return photo, ("The file has changed since it was scored: this is its present picture.",)
        return photo, ()

    def _picture(self, image: Image.Image) -> Picture:
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=self._limits.jpeg_quality, optimize=True)
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        return Picture(data_uri=f"data:image/jpeg;base64,{encoded}", width=image.width, height=image.height)


def _no_photo(reason: str) -> str:
    return visible_text(f"The photograph cannot be shown any more: {reason}.")
