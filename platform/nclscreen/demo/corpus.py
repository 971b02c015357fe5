"""Building the demo corpus: authentic photographs, tampered ones with their masks, and odd files."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from jobs.domain import ImageKey
from jobs.errors import ErrorCode
from nclscreen.demo.editing import Edit, EditImpossible, copy_move, splice
from nclscreen.demo.oddities import oddities
from nclscreen.demo.photographs import load_photographs

Group = Literal["authentic", "splice", "copy-move", "odd"]
AUTHENTIC, SPLICES, COPY_MOVES = 24, 12, 12
#: pixels of the longest side
_SHORTEST, _LONGEST = 512, 1024
_QUALITIES = (75, 80, 85, 90, 95)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoImage:
    """One file of the corpus and the truth about it."""

    key: ImageKey
    group: Group
    #: the one it was made from; "" of odd files
    photograph: str = ""
    #: grey PNG, 255 where pixels were changed; None for what was not tampered with
    mask: Path | None = None
    #: the error code it must end with; None: it must get a score
    code: ErrorCode | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoCorpus:
    """A demo corpus on disk. The truth lies beside the corpus, so that a screening does not meet it."""

    folder: Path
    #: masks and `index.csv` (image, mask, group)
    truth_folder: Path
    images: tuple[DemoImage, ...]


def build_demo_corpus(folder: Path, seed: int = 7, *, of: Collection[str] | None = None) -> DemoCorpus:
    """Write 60 files into `folder`, and masks with `index.csv` into `FOLDER-truth` beside it.

    `of`: names of the photographs they are made of, at least two; None: all. The same seed gives the same bytes; an
    older corpus is written over. Raises DemoPhotographsMissing and OSError.
    """
    rng = random.Random(seed)
    known = load_photographs()
    photos = {name: photo for name, photo in known.items() if of is None or name in of}
    truth = folder.with_name(f"{folder.name}-truth")
    for place in ("authentic", "tampered", "odd"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    images = [
        *_write_authentic(folder, photos, rng),
        *_write_tampered(folder, truth, photos, rng),
        *_write_odd(folder, known),
    ]
    _write_index(truth, images)
    return DemoCorpus(folder=folder, truth_folder=truth, images=tuple(images))


def _write_authentic(folder: Path, photos: Mapping[str, Image.Image], rng: random.Random) -> list[DemoImage]:
    names = sorted(photos)
    images = []
    for number in range(AUTHENTIC):
        key = ImageKey(f"authentic/photo-{number + 1:02d}.jpg")
        photo = _taken(photos[names[number % len(names)]], rng)
        (folder / key).write_bytes(_jpeg(photo, rng))
        images.append(DemoImage(key=key, group="authentic", photograph=names[number % len(names)]))
    return images


def _write_tampered(
    folder: Path, truth: Path, photos: Mapping[str, Image.Image], rng: random.Random
) -> list[DemoImage]:
    names = sorted(photos)
    images = []
    for number in range(SPLICES + COPY_MOVES):
        group: Group = "splice" if number < SPLICES else "copy-move"
        edit = _edited(group, names[number % len(names)], photos, rng)
        stem = f"{group}-{number + 1:02d}"
        key, mask = ImageKey(f"tampered/{stem}.jpg"), truth / f"{stem}.png"
        (folder / key).write_bytes(_jpeg(edit.photo, rng))
        Image.fromarray(np.where(edit.mask, 255, 0).astype(np.uint8)).save(mask)
        images.append(DemoImage(key=key, group=group, photograph=names[number % len(names)], mask=mask))
    return images


def _edited(group: Group, name: str, photos: Mapping[str, Image.Image], rng: random.Random) -> Edit:
    """An edit of this photograph, in one of its cut-outs that allows a visible one."""
    others = [other for other in sorted(photos) if other != name]
    for _ in range(20):
        host = _taken(photos[name], rng)
        try:
            return splice(host, photos[rng.choice(others)], rng) if group == "splice" else copy_move(host, rng)
        except EditImpossible:
            continue
    raise EditImpossible(name)


def _write_odd(folder: Path, photos: Mapping[str, Image.Image]) -> list[DemoImage]:
    images = []
    for oddity in oddities(photos):
        key = ImageKey(f"odd/{oddity.name}")
        (folder / key).write_bytes(oddity.data)
        images.append(DemoImage(key=key, group="odd", code=oddity.code))
    return images


def _taken(photo: Image.Image, rng: random.Random) -> Image.Image:
    """A cut-out at some scale that was a JPEG file before, as photographs are when somebody edits them."""
    share = rng.uniform(0.8, 1.0)
    width, height = round(photo.width * share), round(photo.height * share)
    left, top = rng.randint(0, photo.width - width), rng.randint(0, photo.height - height)
    cut = photo.crop((left, top, left + width, top + height))
    longest = max(cut.size)
    scale = min(max(longest * rng.uniform(0.8, 1.2), _SHORTEST), _LONGEST) / longest
    scaled = cut.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    with Image.open(io.BytesIO(_jpeg(scaled, rng))) as stored:
        return stored.convert("RGB")


def _jpeg(photo: Image.Image, rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, format="JPEG", quality=rng.choice(_QUALITIES))
    return buffer.getvalue()


def _write_index(truth: Path, images: Sequence[DemoImage]) -> None:
    with (truth / "index.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "mask", "group"))
        writer.writerows((image.key, image.mask.name if image.mask else "", image.group) for image in images)
