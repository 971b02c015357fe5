"""Looking into every file of a data set before it is used, so that nothing fails in the middle of a run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncl_model.data.datasets import Source, find_sources
from ncl_model.data.file_bytes import read_file
from ncl_model.data.masks import GREY_TOLERATED, decode_mask
from ncl_model.data.problems import Problem, ProblemKind, missing_files, refuse
from ncl_model.data.sample import Sample
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import DEFAULT_MAX_PIXELS, decode_photo, image_format, opened_image

#: called with (samples done, samples in all)
Progress = Callable[[int, int], None]
#: reads the bytes of a file; may raise OSError
Read = Callable[[Path], bytes]

#: decoding gives up Python's lock, so threads help
_THREADS = min(8, os.cpu_count() or 1)
#: samples decoded or waiting at once, for each thread
_AHEAD = 4


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """What one sample's files hold."""

    sample: Sample
    problems: tuple[Problem, ...]
    #: upright size in pixels; 0 when the image cannot be read
    width: int = 0
    height: int = 0
    #: as Pillow names it, and bytes of the image file; empty and 0 when it cannot be read
    format: str = ""
    bytes: int = 0
    #: share of tampered pixels, 0 to 1; None without a usable mask
    tampered_area: float | None = None


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def usable_sources(
    paths: Sequence[Path],
    *,
    work: Path | None = None,
    leave_out_bad: bool = False,
    grey_masks: bool = False,
    masks_needed: bool = False,
    read: Read = read_file,
    progress: Progress = no_progress,
) -> tuple[list[Source], list[Problem]]:
    """The sources at these paths, every file looked into, and the problems of what was left out.

    ``masks_needed``: a tampered photograph without a mask is a problem too, as it is for training.
    Raises one DatasetInvalid that lists the problems of all files, unless ``leave_out_bad``.
    """
    sources = find_sources(paths, work=work)
    samples = [sample for source in sources for sample in source.samples]
    looks = iter(look_at(samples, read=read, grey_masks=grey_masks, progress=progress))
    problems: list[Problem] = []
    good: list[Source] = []
    for source in sources:
        kept = []
        for sample in source.samples:
            found = next(looks).problems + (_unmasked(sample) if masks_needed else ())
            problems += found
            if not found:
                kept.append(sample)
        good.append(replace(source, samples=kept))
    if not leave_out_bad:
        refuse(problems, "Mend or remove these files, or have bad files left out (--leave-out-bad).")
    return good, problems


def look_at(
    samples: Sequence[Sample],
    *,
    read: Read = read_file,
    grey_masks: bool = False,
    see: Callable[[Sample, NDArray[np.uint8]], None] | None = None,
    progress: Progress = no_progress,
) -> Iterator[FileCheck]:
    """Decode everything once; one FileCheck per sample, in order.

    With ``grey_masks`` a mask may hold any grey values, and those above 127 count as white; otherwise they may be few
    (``masks.GREY_TOLERATED``). ``see`` is handed the pixels of each readable image (H, W, 3), in any order, from
    several threads.
    """
    waiting: deque[Future[FileCheck]] = deque()
    done = 0
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for sample in samples:
            waiting.append(pool.submit(_look, sample, read, grey_masks, see))
            if len(waiting) >= _THREADS * _AHEAD:
                look, done = waiting.popleft().result(), done + 1
                progress(done, len(samples))
                yield look
        while waiting:
            look, done = waiting.popleft().result(), done + 1
            progress(done, len(samples))
            yield look
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for what is queued


def _look(
    sample: Sample, read: Read, grey_masks: bool, see: Callable[[Sample, NDArray[np.uint8]], None] | None
) -> FileCheck:
    problems = missing_files(sample)
    lacking = {problem.kind for problem in problems}
    size: tuple[int, int] | None = None
    file_format, length = "", 0
    if "missing_image" not in lacking:
        try:
            data = read(sample.image)
            pixels = decode_photo(data)
        except (OSError, ImageUnreadable) as error:
            problems.append(_unreadable("unreadable_image", sample, sample.image, error))
        else:
            size = (pixels.shape[0], pixels.shape[1])
            file_format, length = image_format(data), len(data)
            if see is not None:
                see(sample, pixels)
    area = None
    if sample.mask is not None and "missing_mask" not in lacking:
        area = _check_mask(sample, sample.mask, size, read, grey_masks, problems)
    if sample.known is not None and lacking.isdisjoint({"missing_mask", "missing_known"}):
        _check_known(sample, sample.known, size, read, problems)
    if sample.regions is not None and "missing_regions" not in lacking:
        _check_regions(sample, sample.regions, size, read, problems)
    height, width = size or (0, 0)
    return FileCheck(
        sample=sample,
        problems=tuple(problems),
        width=width,
        height=height,
        format=file_format,
        bytes=length,
        tampered_area=area,
    )


def _unmasked(sample: Sample) -> tuple[Problem, ...]:
    if not sample.unmasked:
        return ()
    message = (
        f"{sample.image.name}: tampered with, but no mask says where; draw one, or set a share of samples that are "
        "learnt from by their label alone (weak in the recipe)"
    )
    return (Problem(kind="unmasked", where=sample.where, message=message),)


def _check_mask(
    sample: Sample,
    path: Path,
    size: tuple[int, int] | None,
    read: Read,
    grey_masks: bool,
    problems: list[Problem],
) -> float | None:
    """The tampered share, or None after a problem was added."""
    try:
        mask = decode_mask(read(path), sample.tampered_colour)
    except (OSError, ImageUnreadable) as error:
        problems.append(_unreadable("unreadable_mask", sample, path, error))
        return None
    kind: ProblemKind | None = None
    message = ""
    if size is not None and mask.tampered.shape != size:
        kind = "mask_size"
        message = (
            f"mask {path} is {_by(mask.tampered.shape)} pixels, but its image {_by(size)}; masks and images must "
            "match pixel by pixel (was one of them resized or turned?)"
        )
    elif sample.tampered_colour != "green" and mask.brightest == 1:
        kind = "mask_grey"
        message = f"mask {path} holds zeros and ones; write 255 for tampered (the ones would all count as authentic)"
    elif mask.grey > GREY_TOLERATED and not grey_masks:
        kind = "mask_grey"
        message = (
            f"mask {path} is grey at {mask.grey:.0%} of its pixels, and at most {GREY_TOLERATED:.0%} pass as smoothed "
            "edges; write 255 for tampered and 0 for authentic, or accept everything above 127 as tampered"
        )
    elif not mask.tampered.any():
        kind = "mask_empty"
        message = (
            f"mask {path} marks nothing as tampered; leave the mask out of the list if the photograph is authentic"
        )
    if kind is None:
        return float(mask.tampered.mean())
    problems.append(Problem(kind=kind, where=sample.where, message=message))
    return None


def _check_regions(
    sample: Sample, path: Path, size: tuple[int, int] | None, read: Read, problems: list[Problem]
) -> None:
    try:
        found = decode_regions(read(path)).shape
    except (OSError, ImageUnreadable) as error:
        problems.append(_unreadable("unreadable_regions", sample, path, error))
        return
    if size is not None and found != size:
        message = f"region map {path} is {_by(found)} pixels, but its image {_by(size)}"
        problems.append(Problem(kind="regions_size", where=sample.where, message=message))


def _check_known(sample: Sample, path: Path, size: tuple[int, int] | None, read: Read, problems: list[Problem]) -> None:
    try:
        known = decode_mask(read(path)).tampered
    except (OSError, ImageUnreadable) as error:
        problems.append(_unreadable("unreadable_known", sample, path, error))
        return
    if size is not None and known.shape != size:
        message = f"{path}, where the mask is known, is {_by(known.shape)} pixels, but its image {_by(size)}"
        problems.append(Problem(kind="known_size", where=sample.where, message=message))
    elif not known.any():
        message = f"{path} says that the mask is known nowhere; write 255 where it is"
        problems.append(Problem(kind="known_empty", where=sample.where, message=message))


def decode_regions(data: bytes) -> NDArray[np.uint8]:
    """(H, W) uint8 of a region map, one value per region. Raises ImageUnreadable."""
    with opened_image(data, DEFAULT_MAX_PIXELS) as image:
        if image.mode not in {"L", "P", "1"}:
            raise ImageUnreadable("unsupported_format", f"a region map holds grey values, not {image.mode}")
        return np.array(image, dtype=np.uint8)


def _unreadable(kind: ProblemKind, sample: Sample, path: Path, error: Exception) -> Problem:
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return Problem(kind=kind, where=sample.where, message=f"{path} cannot be read: {reason}")


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
