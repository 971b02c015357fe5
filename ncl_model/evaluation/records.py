"""One photograph held against its truth: what the evaluation keeps of it once the map is gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.data.file_bytes import read_file
from ncl_model.data.masks import decode_mask
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid, ImageUnreadable
from ncl_model.imaging.decoding import DecodedImage
from ncl_model.inference.predictor import Predictor
from ncl_model.metrics import auc, pixel_f1, pixel_iou

#: changes a photograph's file before the predictor sees it: bytes in, bytes out; may raise ImageUnreadable
Distort = Callable[[bytes], bytes]
#: between kinds of evidence in a cell
BESIDE = "+"


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """The figures of one photograph. NaN where a figure has no meaning, for example pixel figures of authentic ones."""

    #: path below the set's folder, with "/" between parts
    name: str
    #: photographs of one group share source material
    group: str
    #: True = tampered
    label: bool
    #: size of the file; 0 when it could not be read
    bytes: int = 0
    #: pixels, upright; 0 when unknown
    width: int = 0
    height: int = 0
    #: image score in [0, 1]
    score: float = math.nan
    #: pixel figures at the mask's size, see ``metrics``; NaN without any tampered pixel
    f1: float = math.nan
    iou: float = math.nan
    auc: float = math.nan
    #: tampered share of the pixels, by the mask; NaN for a tampered one without
    tampered_share: float = math.nan
    #: kinds of evidence that it could not be tested for, "traces+together"; None where the model has one kind alone
    untestable: str | None = None
    #: why the photograph could not be judged; None when it was
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Examination:
    """One photograph, its map and its truth, while they are in memory."""

    #: (h, w) float32 probabilities at the network's working size, padding cut off
    probabilities: NDArray[np.float32]
    #: (H, W) bool at native size; None = authentic, or nobody knows where
    mask: NDArray[np.bool_] | None
    score: float
    #: logit of the image head, if there is one
    head: float | None
    #: of each kind of evidence, see ``inference.judging``; empty where the model has one kind alone
    statistics: Mapping[str, float]
    #: kinds of evidence that it could not be tested for; None where the model has one kind alone
    untestable: tuple[str, ...] | None
    width: int
    height: int


def judge(predictor: Predictor, sample: Sample, name: str, distort: Distort | None = None) -> ImageRecord:
    """Run one photograph and keep its figures; a file that cannot be read becomes a record with a ``problem``.

    ``distort`` changes the photograph, never its mask.
    """
    unread = ImageRecord(name=name, group=sample.group, label=sample.tampered)
    try:
        data = read_file(sample.image)
        examined = examine(predictor, sample, data if distort is None else distort(data), resized=distort is not None)
    except OSError as error:
        return _with_problem(unread, f"cannot be read: {error.strerror or error}")
    except (ImageUnreadable, DatasetInvalid) as error:
        return _with_problem(unread, str(error))
    return record_of(sample, name, examined, len(data))


def judge_bytes(
    predictor: Predictor, sample: Sample, name: str, data: bytes, mask: NDArray[np.bool_] | None
) -> ImageRecord:
    """The figures of a file made of the sample's photograph, and of the mask (H, W) of its size, or None.

    What cannot be decoded becomes a record with a ``problem``.
    """
    try:
        examined = examine_image(predictor, predictor.decode(data), mask)
    except ImageUnreadable as error:
        return _with_problem(ImageRecord(name=name, group=sample.group, label=sample.tampered), str(error))
    return record_of(sample, name, examined, len(data))


def record_of(sample: Sample, name: str, examined: Examination, size: int) -> ImageRecord:
    """What is kept of an examination; ``size``: bytes of the file."""
    f1, iou, area = pixel_figures(examined)
    return ImageRecord(
        name=name,
        group=sample.group,
        label=sample.tampered,
        bytes=size,
        width=examined.width,
        height=examined.height,
        score=examined.score,
        f1=f1,
        iou=iou,
        auc=area,
        tampered_share=_share(sample, examined.mask),
        untestable=None if examined.untestable is None else BESIDE.join(examined.untestable),
    )


def _share(sample: Sample, mask: NDArray[np.bool_] | None) -> float:
    if mask is None:
        return math.nan if sample.tampered else 0.0
    return float(mask.mean())


def examine(predictor: Predictor, sample: Sample, data: bytes, *, resized: bool = False) -> Examination:
    """The map of a photograph's bytes beside its truth; ``resized``: the bytes may be another size than the mask.

    Raises ImageUnreadable, and DatasetInvalid for a mask that cannot be read or is of another size.
    """
    image = predictor.decode(data)
    mask = read_mask(sample)
    if mask is not None and not resized and mask.shape != (image.height, image.width):
        sizes = f"the mask is {mask.shape[1]}x{mask.shape[0]}, the photograph {image.width}x{image.height}"
        raise DatasetInvalid(f"{sizes} pixels: {sample.mask}")
    return examine_image(predictor, image, mask)


def examine_image(predictor: Predictor, image: DecodedImage, mask: NDArray[np.bool_] | None) -> Examination:
    """What the model says about a decoded photograph, beside its truth (H, W); None where that is not known."""
    size = (image.valid_height, image.valid_width)
    found = predictor.judge(image.pixels[None], [size], [image.blocks])[0]
    return Examination(
        probabilities=found.probabilities,
        mask=mask,
        # as the predictor says it: a verdict's score is a float32
        score=float(np.float32(found.score)),
        head=found.head,
        statistics=found.statistics,
        untestable=None if found.evidence is None else tuple(found.evidence.untestable),
        width=image.width,
        height=image.height,
    )


def pixel_figures(examined: Examination) -> tuple[float, float, float]:
    """(F1, IoU, AUC) of a map brought to its mask's size; all NaN when nothing is tampered."""
    if examined.mask is None or not examined.mask.any():
        return math.nan, math.nan, math.nan
    probabilities = at_size(examined.probabilities, (examined.mask.shape[0], examined.mask.shape[1]))
    return (
        pixel_f1(probabilities, examined.mask),
        pixel_iou(probabilities, examined.mask),
        auc(probabilities, examined.mask),
    )


def at_size(probabilities: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map (h, w) brought to ``size`` (H, W), bilinear; the same array when it has that size already."""
    if probabilities.shape == size:
        return probabilities
    grown = Image.fromarray(np.ascontiguousarray(probabilities)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(grown, dtype=np.float32)


def read_mask(sample: Sample) -> NDArray[np.bool_] | None:
    """(H, W) bool at the mask file's own size, True = tampered; None without a mask that says something of every pixel.

    Raises DatasetInvalid when the file is missing or no picture.
    """
    path = sample.whole_mask
    if path is None:
        return None
    try:
        return decode_mask(read_file(path), sample.tampered_colour).tampered
    except (OSError, ImageUnreadable) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DatasetInvalid(f"the mask cannot be read ({reason}): {path}") from error


def _with_problem(record: ImageRecord, problem: str) -> ImageRecord:
    return ImageRecord(name=record.name, group=record.group, label=record.label, problem=problem)
