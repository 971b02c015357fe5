"""Verdicts as a COCO document, for annotation tools: https://cocodataset.org/#format-data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.exports.masks import Masked, MaskOf

#: the one category there is
CATEGORY = {"id": 1, "name": "tampered", "supercategory": "manipulation"}
#: bytes of annotations that are kept in memory; more go into a temporary file
_IN_MEMORY = 4 << 20
_PIECE = 1 << 16


def coco_file(masked: Iterable[Masked]) -> Iterator[bytes]:
    """One document, as it is read: an image for each verdict, and a region for each mask that is not empty.

    `images` comes first in it, so regions wait in a file. `info` says of how many images no mask is known: they have no
    heatmap, and nobody drew one; which is not the same as no region.
    """
    without = 0
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as regions:
        yield b'{"images":['
        for number, each in enumerate(masked, start=1):
            yield (b",\n" if number > 1 else b"\n") + _json(_image(number, each))
            without += each.mask is None
            if each.mask is not None and each.mask.any():
                regions.write((b",\n" if regions.tell() else b"\n") + _json(_region(number, each, each.mask)))
        yield b'],"annotations":['
        regions.seek(0)
        yield from iter(lambda: regions.read(_PIECE), b"")
    info = {
        "description": "where images look tampered, as nclscreen saw or a reviewer drew it",
        "images_without_heatmap": without,
    }
    yield b'],"categories":[' + _json(CATEGORY) + b'],"info":' + _json(info) + b"}\n"


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """(H, W) bool as COCO writes it: lengths of runs down the columns, outside first, in turn.

    As in `pycocotools.mask`, uncompressed.
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], changes, [flat.size]))).tolist()
    return [0, *lengths] if flat[0] else lengths


def _image(number: int, masked: Masked) -> dict[str, Any]:
    """`file_name` is the key below the container; the fields after it are ours."""
    found, verdict = masked.found, masked.found.verdict
    return {
        "id": number,
        "width": verdict.width,
        "height": verdict.height,
        "file_name": verdict.key,
        "ref": str(found.ref),
        "container": verdict.container,
        "sha256": verdict.sha256,
        "score": verdict.score,
        "flagged": verdict.flagged,
        "case": verdict.case,
        "review": None if found.review is None else found.review.value,
        "model_fingerprint": verdict.fingerprint,
        "heatmap": verdict.map_uri is not None if masked.mask_of is MaskOf.REVIEWER else masked.mask is not None,
        "mask_of": None if masked.mask_of is None else masked.mask_of.value,
    }


def _region(number: int, masked: Masked, mask: NDArray[np.bool_]) -> dict[str, Any]:
    """One region an image, so it has the image's number. `iscrowd` is what tools read run lengths by."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": number,
        "category_id": CATEGORY["id"],
        "iscrowd": 1,
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "area": int(mask.sum()),
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "score": masked.found.verdict.score,
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
