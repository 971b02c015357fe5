"""A photograph beside where the model saw tampering."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Job
from jobs.errors import JobsError
from jobs.sql.rows import tampered_area
from jobs.verdicts import FoundVerdict
from ncl_model.inference.evidence import Evidence
from nclscreen.evidence_text import evidence_of, fired_in, remarks, scores_in_words, sentences
from nclscreen.pictures import comparison, upright_photo
from nclscreen.quantities import area_in_words, score_in_words
from nclscreen.signal_text import signal_sentences
from nclscreen.stored_heatmaps import heatmap_reader
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from PIL.Image import Image

_LONGEST_SIDE = 1600


class NoPicture(JobsError):
    """There is nothing to show for this image, or nowhere to put it."""


def comparison_picture(wiring: Wiring, job: Job, found: FoundVerdict) -> Image:
    """The photograph, and its heatmap on a fixed scale from 0 to 1.

    Raises NoPicture, StorageError, ImageUnreadable, WeightsNotFound.
    """
    verdict = found.verdict
    if verdict.score is None:
        raise NoPicture(f"{verdict.key!r} has no score: {verdict.error_code} ({verdict.error_message})")
    data = wiring.open_storage(verdict.container).read(verdict.key, version_id=verdict.version_id)
    heatmap = heatmap_reader(wiring.open_storage)(verdict) if verdict.map_uri else _computed_heatmap(wiring, job, data)
    area, evidence = tampered_area(verdict) or 0.0, evidence_of(verdict.evidence)
    lines = [
        verdict.key,
        f"{found.ref} in {verdict.container}",
        f"score {score_in_words(verdict.score)}, threshold {job.threshold:.3f}: "
        f"{'flagged' if verdict.flagged else 'not flagged'}; "
        f"{area_in_words(area)} of the image at 0.5 or more",
        *_evidence_lines(evidence, fired_in(verdict, job.threshold)),
        *signal_sentences(verdict.signals),
    ]
    if verdict.sha256 is not None and hashlib.sha256(data).hexdigest() != verdict.sha256:
        lines.append("the file has changed since it was scored: this is its present picture")
    copies = () if evidence is None else evidence.copies
    return comparison(upright_photo(data, _LONGEST_SIDE, wiring.decoder), heatmap, lines, copies)


def _evidence_lines(evidence: Evidence | None, kinds: Sequence[str]) -> list[str]:
    """What fired, and how loud each kind is; nothing without evidence."""
    said = "; ".join((*sentences(evidence, kinds), *remarks(evidence, kinds)))
    alone = scores_in_words(evidence)
    return [line for line in (said, alone and f"each kind alone would score: {alone}") if line]


def _computed_heatmap(wiring: Wiring, job: Job, data: bytes) -> NDArray[np.uint8]:
    """Heatmaps are not kept for every image; the same model computes the same one again."""
    predictor = wiring.versions.version(job.model.fingerprint).predictor()
    image = wiring.decoder.decode(data, config=predictor.config)
    return predictor.localize([image])[0].heatmap
