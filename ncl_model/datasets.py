"""Reading labelled photographs: an index.csv of image, mask and group, and the split by group.

More published layouts will get their own readers; all of them give ``Sample``.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.errors import DatasetInvalid

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One labelled photograph."""

    image: Path
    #: PNG, above 127 = tampered; None = authentic
    mask: Path | None
    #: samples of one group share source photographs and stay on one side of any split
    group: str


def read_index(path: Path) -> list[Sample]:
    """Samples of an index.csv with the columns image, mask, group; paths are relative to its folder.

    Raises DatasetInvalid when the file, a column or a named image is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DatasetInvalid(f"{path}: cannot be read ({error})") from error
    samples = [_sample(path, number, row) for number, row in enumerate(rows, start=2)]
    if not samples:
        raise DatasetInvalid(f"{path}: no rows")
    return samples


def read_folder(folder: Path) -> list[Sample]:
    """Every photograph directly in ``folder`` as an authentic sample, each its own group, sorted by name."""
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in _PHOTO_SUFFIXES)
    if not paths:
        raise DatasetInvalid(f"{folder}: no photographs")
    return [Sample(image=path, mask=None, group=path.stem) for path in paths]


def split_by_group(samples: Sequence[Sample], *, held_out: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """(kept, held out): about ``held_out`` of the groups on the second side, no group on both.

    The side depends on the group's name and the seed alone, so adding samples moves no other.
    """
    kept: list[Sample] = []
    out: list[Sample] = []
    for sample in samples:
        digest = hashlib.sha256(f"{seed}|{sample.group}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        (out if share < held_out else kept).append(sample)
    return kept, out


def training_split(
    root: Path, *, held_out: float, seed: int
) -> tuple[tuple[list[Sample], list[Sample]], tuple[list[Sample], list[Sample]]]:
    """(people kept, people held out), (authentic kept, authentic held out) of the sets below ``root``.

    People: ``casia1/train``. Authentic: ``authentic/bsds500`` and ``authentic/imagenet_sample``.
    Raises DatasetInvalid when one of them is missing.
    """
    people = read_index(root / "casia1/train/index.csv")
    authentic = read_folder(root / "authentic/bsds500/images") + read_folder(root / "authentic/imagenet_sample")
    return (
        split_by_group(people, held_out=held_out, seed=seed),
        split_by_group(authentic, held_out=held_out, seed=seed),
    )


def validation_samples(root: Path, *, held_out: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """What a run with this split never trained on: (of casia1/train, of the authentic sets)."""
    (_, people), (_, authentic) = training_split(root, held_out=held_out, seed=seed)
    return people, authentic


def load_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB at native size."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def load_mask(sample: Sample, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool, True = tampered, at ``size`` (H, W); nearest neighbour when the file has another size."""
    if sample.mask is None:
        return np.zeros(size, dtype=np.bool_)
    with Image.open(sample.mask) as image:
        grey = image.convert("L")
        if grey.size != (size[1], size[0]):
            grey = grey.resize((size[1], size[0]), Image.Resampling.NEAREST)
        return np.asarray(grey) > 127


def _sample(path: Path, number: int, row: dict[str, str]) -> Sample:
    try:
        image, mask, group = row["image"], row["mask"], row["group"]
    except KeyError as error:
        raise DatasetInvalid(f"{path}: no column {error}") from error
    if not (path.parent / image).is_file():
        raise DatasetInvalid(f"{path}, line {number}: no file {image}")
    return Sample(image=path.parent / image, mask=path.parent / mask if mask else None, group=group)
