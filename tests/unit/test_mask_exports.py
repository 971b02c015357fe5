"""COCO documents and archives of masks: read back by the tools they are for."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from support.builders import FINGERPRINT, MODEL, entry, scored

from jobs.domain import Decision, JobId, Verdict
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode, StorageUnavailable
from jobs.exports import Masked, MaskFormat, encoded_masks, masked_verdicts
from jobs.exports.coco import run_lengths
from jobs.exports.masks import ReadHeatmap, binary_mask
from jobs.verdicts import FoundVerdict

JOB = JobId("1m7yxf33cw6dnp0t")
HOSTILE = ["<script>.jpg", "../x.jpg", "line\nbreak.jpg", "\u202egpj.jpg", "=cmd|' /C calc'!A0", 'quote",;.jpg']


def found(ordinal: int, key: str = "a.jpg", score: float = 0.9, review: Decision | None = None) -> FoundVerdict:
    """Of a photograph of 64 x 48."""
    verdict = replace(scored(ordinal, entry(key), score), width=64, height=48)
    return FoundVerdict(job_id=JOB, model=MODEL, threshold=0.5, verdict=verdict, review=review)


def corner(verdict: Verdict) -> NDArray[np.uint8]:
    """A heatmap of half the size, sure of its lower left quarter."""
    heatmap = np.zeros((24, 32), np.uint8)
    heatmap[12:, :16] = 255
    return heatmap


def file_of(kind: MaskFormat, rows: Iterable[FoundVerdict], read: ReadHeatmap = corner, cutoff: float = 0.5) -> bytes:
    return b"".join(encoded_masks(masked_verdicts(rows, read, cutoff), kind))


def opened(data: bytes, tmp_path: Path) -> COCO:
    path = tmp_path / "coco.json"
    path.write_bytes(data)
    with redirect_stdout(io.StringIO()):  # it talks
        return COCO(str(path))


def unpacked(data: bytes) -> dict[str, bytes]:
    """Files of an archive by name, in their order."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def broken() -> FoundVerdict:
    verdict = failed_verdict(entry("broken.jpg"), 9, FINGERPRINT, ErrorCode.CORRUPT, "cut off")
    return FoundVerdict(job_id=JOB, model=MODEL, threshold=0.5, verdict=verdict)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_pycocotools_reads_the_mask_as_it_is(tmp_path: Path) -> None:
    rows = [found(0, "in/a.jpg", review=Decision.CONFIRMED), broken(), found(7, "b.jpg", 0.1)]
    coco = opened(file_of(MaskFormat.COCO, rows), tmp_path)
    images = coco.loadImgs(coco.getImgIds())
    assert [(each["file_name"], each["ref"], each["review"]) for each in images] == [
        ("in/a.jpg", f"{JOB}/0", "confirmed"),
        ("b.jpg", f"{JOB}/7", None),
    ]
    (region,) = coco.loadAnns(coco.getAnnIds(imgIds=[images[0]["id"]], iscrowd=True))
    wanted = binary_mask(corner(rows[0].verdict), (64, 48), 0.5)
    assert (coco.annToMask(region) == wanted).all()
    assert region["bbox"] == coco_mask.toBbox(coco.annToRLE(region)).tolist()
    assert region["area"] == coco_mask.area(coco.annToRLE(region)) == wanted.sum()
    assert 0.2 < wanted.mean() < 0.3
    assert coco.loadCats(coco.getCatIds())[0]["name"] == "tampered"


def upper_half(each: FoundVerdict) -> NDArray[np.uint8] | None:
    """What a reviewer drew on confirmed images, larger than the photograph."""
    labels = np.zeros((96, 128), np.uint8)
    labels[:48] = 255
    return labels if each.review is Decision.CONFIRMED else None


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_what_a_reviewer_drew_stands_instead_of_the_heatmap(tmp_path: Path) -> None:
    rows = [found(0, review=Decision.CONFIRMED), found(1, review=Decision.REJECTED), found(2)]

    def read(verdict: Verdict) -> NDArray[np.uint8] | None:
        assert verdict.ordinal, "nobody needs the heatmap of what was drawn"
        return corner(verdict) if verdict.ordinal == 1 else None

    def masked() -> Iterator[Masked]:
        return masked_verdicts(rows, read, 0.9, upper_half)

    coco = opened(b"".join(encoded_masks(masked(), MaskFormat.COCO)), tmp_path)
    images = coco.loadImgs(coco.getImgIds())
    assert [(each["mask_of"], each["heatmap"]) for each in images] == [
        ("reviewer", True),
        ("model", True),
        (None, False),
    ]
    region = coco.loadAnns(coco.getAnnIds(imgIds=[1], iscrowd=True))[0]
    wanted = np.zeros((48, 64), np.bool_)
    wanted[:24] = True
    assert (coco.annToMask(region) == wanted).all()
    archive = unpacked(b"".join(encoded_masks(masked(), MaskFormat.MASKS)))
    lines = list(csv.DictReader(io.StringIO(archive["index.csv"].decode(), newline="")))
    assert [line["mask_of"] for line in lines] == ["reviewer", "model", ""]
    with Image.open(io.BytesIO(archive[lines[0]["mask"]])) as picture:
        assert (np.asarray(picture) == wanted).all()


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_run_lengths_are_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    theirs = coco_mask.frPyObjects({"size": list(mask.shape), "counts": run_lengths(mask)}, *mask.shape)
    assert theirs == coco_mask.encode(np.asfortranarray(mask, np.uint8))


def test_no_region_is_told_from_no_heatmap(tmp_path: Path) -> None:
    def read(verdict: Verdict) -> NDArray[np.uint8] | None:
        return None if verdict.ordinal else np.zeros((24, 32), np.uint8)

    coco = opened(file_of(MaskFormat.COCO, [found(0), found(1)], read), tmp_path)
    assert [each["heatmap"] for each in coco.loadImgs(coco.getImgIds())] == [True, False]
    assert coco.getAnnIds() == []
    assert coco.dataset["info"]["images_without_heatmap"] == 1


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_arrive_whole_and_name_nothing(key: str, tmp_path: Path) -> None:
    coco = opened(file_of(MaskFormat.COCO, [found(0, key)]), tmp_path)
    assert coco.loadImgs([1])[0]["file_name"] == key
    archive = unpacked(file_of(MaskFormat.MASKS, [found(0, key)]))
    assert list(archive) == [f"masks/{JOB}/000000000.png", "index.csv"]
    (line,) = csv.DictReader(io.StringIO(archive["index.csv"].decode(), newline=""))
    assert line["key"] == (f"'{key}" if key.startswith("=") else key)


def test_an_archive_has_a_picture_for_each_mask_and_a_line_for_each_verdict() -> None:
    def read(verdict: Verdict) -> NDArray[np.uint8] | None:
        return None if verdict.ordinal == 2 else corner(verdict)

    data = file_of(MaskFormat.MASKS, [found(0), broken(), found(1, "b.jpg", review=Decision.UNSURE), found(2)], read)
    archive = unpacked(data)
    lines = list(csv.DictReader(io.StringIO(archive["index.csv"].decode(), newline="")))
    assert [(line["ref"], line["review"]) for line in lines] == [
        (f"{JOB}/0", ""),
        (f"{JOB}/1", "unsure"),
        (f"{JOB}/2", ""),
    ]
    assert lines[2]["mask"] == ""
    with Image.open(io.BytesIO(archive[lines[1]["mask"]])) as picture:
        assert (picture.mode, picture.size) == ("1", (64, 48))
        assert (np.asarray(picture) == binary_mask(corner(found(0).verdict), (64, 48), 0.5)).all()


def test_the_cutoff_is_a_probability() -> None:
    heatmap = np.array([[51, 127, 128, 255]], np.uint8)
    assert binary_mask(heatmap, (4, 1), 0.5).tolist() == [[False, False, True, True]]
    assert binary_mask(heatmap, (4, 1), 0.2).tolist() == [[True, True, True, True]]
    assert binary_mask(heatmap, (4, 1), 1.0).tolist() == [[False, False, False, True]]


@pytest.mark.parametrize("kind", MaskFormat)
def test_a_file_without_verdicts_is_one(kind: MaskFormat, tmp_path: Path) -> None:
    data = file_of(kind, [])
    if kind is MaskFormat.COCO:
        assert opened(data, tmp_path).getImgIds() == []
    else:
        assert list(unpacked(data)) == ["index.csv"]


@pytest.mark.parametrize("kind", MaskFormat)
def test_a_storage_that_goes_away_leaves_no_whole_file(kind: MaskFormat) -> None:
    def read(verdict: Verdict) -> NDArray[np.uint8]:
        if verdict.ordinal == 30:
            raise StorageUnavailable("s3://maps", "away")
        return corner(verdict)

    pieces: list[bytes] = []
    with pytest.raises(StorageUnavailable):
        pieces.extend(encoded_masks(masked_verdicts((found(i) for i in range(60)), read, 0.5), kind))
    if kind is MaskFormat.COCO:
        with pytest.raises(json.JSONDecodeError):
            json.loads(b"".join(pieces))
    else:
        assert "index.csv" not in unpacked(b"".join(pieces))


def test_verdicts_are_read_no_further_than_needed() -> None:
    """Whoever reads slowly, or stops, has not asked the database for everything."""
    read: list[int] = []

    def rows() -> Iterator[FoundVerdict]:
        for ordinal in range(1000):
            read.append(ordinal)
            yield found(ordinal)

    masked = masked_verdicts(rows(), corner, 0.5)
    assert next(masked).found.verdict.ordinal == 0
    masked.close()
    assert len(read) < 50


@pytest.mark.parametrize("kind", MaskFormat)
def test_memory_does_not_grow_with_the_images(kind: MaskFormat) -> None:
    """Four times the images take little more memory; a line of the archive's list is 200 bytes."""

    def peak(images: int) -> int:
        tracemalloc.start()
        for _ in encoded_masks(masked_verdicts((found(i, "a" * 200) for i in range(images)), corner, 0.5), kind):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(50)
    assert peak(4_000) < peak(1_000) + 3_000_000


def test_documents_name_their_words() -> None:
    text = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")
    for kind in MaskFormat:
        assert f"| `{kind}` |" in text
