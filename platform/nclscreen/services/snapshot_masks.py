"""What reviewers drew, as a snapshot keeps it: by its hash, and as files of its photograph's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.domain.drawings import DrawingKind
from jobs.retraining.labelled import LabelledPhoto
from jobs.reviews.drawing_png import known_in, read_labels, tampered_in
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import decode_photo
from ncl_model.writing import replacing
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptMarks:
    """Files in `masks/`, by name."""

    #: 255 where the photograph was tampered with
    mask: str
    #: 255 where the mask says something: of scribbles; None: everywhere
    known: str | None = None


def keep_marks(wiring: Wiring, photo: LabelledPhoto, image: str, folder: Path) -> KeptMarks | None:
    """Keep the photograph's drawing; None where there is none, or none that marks something as tampered.

    `image`: the photograph's name in `images/`. Raises OSError, StorageError.
    """
    if photo.drawing is None:
        return None
    drawing = wiring.drawings.get(photo.drawing)
    wiring.snapshot_archive.keep_drawing(drawing.sha256, drawing.png)
    try:
        height, width = decode_photo((folder / "images" / image).read_bytes()).shape[:2]
    except ImageUnreadable:
        return None  # nothing is learnt from it, with or without a mask
    labels = read_labels(drawing.png)
    tampered = tampered_in(labels, (width, height))
    if not tampered.any():
        return None  # a dot that is nothing at this size
    stem = f"{photo.sha256}-{drawing.sha256[:16]}"
    mask = _kept(folder / "masks" / f"{stem}.png", tampered)
    if drawing.kind is DrawingKind.MASK:
        return KeptMarks(mask=mask)
    return KeptMarks(mask=mask, known=_kept(folder / "masks" / f"{stem}-known.png", known_in(labels, (width, height))))


def _kept(path: Path, marked: NDArray[np.bool_]) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            Image.fromarray(marked).convert("L").save(partial, "PNG")
    return path.name
