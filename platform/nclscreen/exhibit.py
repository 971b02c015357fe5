"""The picture behind `nclscreen show`: one photograph and where the model saw tampering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Job, Verdict
from jobs.errors import JobsError, ModelMismatch
from jobs.sql.rows import tampered_area
from nclscreen.pictures import comparison, upright_photo
from nclscreen.stored_heatmaps import heatmap_reader
from nclscreen.wiring import Wiring

_LONGEST_SIDE = 1600


class NoPicture(JobsError):
    """There is nothing to show for this image, or nowhere to put it."""


def write_exhibit(wiring: Wiring, job: Job, verdict: Verdict, out_file: Path) -> None:
    """Write the comparison as PNG. Raises NoPicture, StorageError, ImageUnreadable, ModelMismatch."""
    if verdict.score is None:
        raise NoPicture(f"{verdict.key!r} has no score: {verdict.error_code} ({verdict.error_message})")
    data = wiring.open_storage(verdict.container).read(verdict.key, version_id=verdict.version_id)
    heatmap = heatmap_reader(wiring.open_storage)(verdict) if verdict.map_uri else _computed_heatmap(wiring, job, data)
    area = tampered_area(verdict) or 0.0
    lines = [
        verdict.key,
        f"score {verdict.score:.3f}, threshold {job.threshold:.3f}: {'flagged' if verdict.flagged else 'not flagged'}; "
        f"{area:.1%} of the image at 0.5 or more",
    ]
    picture = comparison(upright_photo(data, _LONGEST_SIDE), heatmap, lines)
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(out_file, format="PNG")
    except OSError as error:
        raise NoPicture(f"cannot write {out_file}: {error.strerror or error}") from None


def _computed_heatmap(wiring: Wiring, job: Job, data: bytes) -> NDArray[np.uint8]:
    """Heatmaps are not kept for every image; the same model computes the same one again."""
    from ncl_model.inference.predictor import Predictor

    if job.model != wiring.model:
        raise ModelMismatch(job.model.fingerprint, wiring.model.fingerprint)
    predictor = Predictor.setup(wiring.weights, wiring.settings.precision)
    image = predictor.decode(data, max_pixels=wiring.settings.max_pixels)
    return predictor.localize([image])[0].heatmap
