"""A few images scored at once, in this process, without database or cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.domain import ImageKey
from jobs.errors import ObjectNotFound, StorageError
from jobs.sql.rows import HALF
from jobs.storage import parse_source
from ncl_model.errors import ImageUnreadable
from nclscreen.quantities import rounded
from nclscreen.services.policies import FlagRule
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from ncl_model.inference.predictor import Localization, Predictor


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageScore:
    """What the model says of one image, or why it says nothing."""

    #: as it was asked for: a path, or s3://bucket/key
    image: str
    #: in [0, 1]
    score: float | None = None
    flagged: bool = False
    #: share of authentic photographs that score as high; None where the model was not calibrated
    false_positive_rate: float | None = None
    #: share of the image with a probability of at least 0.5
    tampered_area: float | None = None
    #: a document of `ncl_model.inference.evidence.Evidence`; None where the model has one kind alone
    evidence: dict[str, Any] | None = None
    #: pixels, upright
    width: int | None = None
    height: int | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def score_images(wiring: Wiring, images: Sequence[str], rule: FlagRule) -> Iterator[ImageScore]:
    """One after the other; an image that cannot be read has an error code. Raises the errors of the model's file."""
    predictor = wiring.model.predictor()
    for image in images:
        yield _score(wiring, predictor, image, rule)


def _score(wiring: Wiring, predictor: Predictor, image: str, rule: FlagRule) -> ImageScore:
    try:
        decoded = wiring.decoder.decode(_read(wiring, image), config=predictor.config)
    except StorageError as error:
        return ImageScore(image=image, error_code=str(error.code), error_message=error.reason)
    except ImageUnreadable as error:
        return ImageScore(image=image, error_code=str(error.code), error_message=str(error))
    return _judged(wiring, image, predictor.localize([decoded])[0], rule)


def _judged(wiring: Wiring, image: str, found: Localization, rule: FlagRule) -> ImageScore:
    calibration = wiring.model.calibration
    return ImageScore(
        image=image,
        score=rounded(found.score),
        flagged=found.score >= rule.threshold,
        false_positive_rate=None if calibration is None else rounded(calibration.rate(found.score)),
        tampered_area=rounded(found.tampered_areas[HALF]),
        evidence=None if found.evidence is None else found.evidence.to_dict(),
        width=found.width,
        height=found.height,
    )


def _read(wiring: Wiring, image: str) -> bytes:
    parsed = parse_source(image)
    key = parsed.single_key or ImageKey(parsed.prefix)
    if not key:
        raise ObjectNotFound(image, "it is a folder" if Path(image).is_dir() else "no such file")
    return wiring.open_storage(parsed.container).read(key, max_bytes=wiring.settings.max_image_bytes)
