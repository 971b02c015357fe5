"""What reviewers drew, as a snapshot keeps it: by its hash, and a mask as a file of its photograph's size."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from jobs.domain.drawings import DrawingKind
from jobs.retraining.labelled import LabelledPhoto
from jobs.reviews.drawing_png import read_labels, tampered_in
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import decode_photo
from ncl_model.writing import replacing
from nclscreen.wiring import Wiring


def keep_mask(wiring: Wiring, photo: LabelledPhoto, image: str, folder: Path) -> str | None:
    """Keep the photograph's drawing, if it has one; of a mask the name of its file in `masks/`, else None.

    `image`: the photograph's name in `images/`. Raises OSError, StorageError.
    """
    if photo.drawing is None:
        return None
    drawing = wiring.drawings.get(photo.drawing)
    wiring.snapshot_archive.keep_drawing(drawing.sha256, drawing.png)
    if drawing.kind is not DrawingKind.MASK:
        return None
    path = folder / "masks" / f"{photo.sha256}-{drawing.sha256[:16]}.png"
    if path.exists():
        return path.name
    try:
        height, width = decode_photo((folder / "images" / image).read_bytes()).shape[:2]
    except ImageUnreadable:
        return None  # nothing is learnt from it, with or without a mask
    tampered = tampered_in(read_labels(drawing.png), (width, height))
    if not tampered.any():
        return None  # a dot that is nothing at this size
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        Image.fromarray(tampered).convert("L").save(partial, "PNG")
    return path.name
