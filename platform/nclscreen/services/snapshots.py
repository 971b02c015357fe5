"""The snapshot of a run: reviewed photographs as files, with hashes, so that what was learnt from stays known."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.domain import Decision, Review
from jobs.domain.access import ProjectName
from jobs.errors import InvalidSource, StorageError
from jobs.retraining.labelled import Excluded, LabelledPhoto, choose
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import image_format
from ncl_model.writing import replacing
from nclscreen.catalog.snapshot_archive import SnapshotArchive
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.snapshot_masks import KeptMarks, keep_marks
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from ncl_model.data.duplicates import Fingerprint

_ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What a run learns from and is judged by."""

    #: over all that is in it
    sha256: str
    #: counts, base sources with their hashes, photographs left out with their reasons; plain JSON types
    contents: dict[str, Any]
    #: folder with an index.csv of reviewed photographs to train on, the tampered ones with masks; None without any
    train: Path | None
    #: the same of photographs that are kept for judging
    held_out: Path | None


def take_snapshot(
    wiring: Wiring, request: RetrainRequest, project: ProjectName, folder: Path, going_on: Callable[[], None]
) -> Snapshot:
    """Gather and freeze; what is there from an earlier try is not fetched again. `going_on` is called often.

    Raises OSError, StorageUnavailable. A photograph that cannot be read any more is left out, with the reason.
    """
    done = folder / "snapshot.json"
    if done.exists():
        return _read(done)
    evaluated = _hashes(request.evaluate, going_on)
    reviews = (_with_drawing(wiring, review) for review in wiring.reviews.standing(project))
    chosen, excluded = choose(reviews, evaluated, wiring.reviews.disputed(project))
    kept: list[tuple[LabelledPhoto, str]] = []
    archive = wiring.snapshot_archive
    for photo in chosen:
        going_on()
        name = _fetch(wiring, photo, folder / "images", archive)
        if isinstance(name, Excluded):
            excluded.append(name)
        else:
            kept.append((photo, name))
    kept = _without_lookalikes(kept, folder / "images", _looks(request.evaluate, going_on), excluded, going_on)
    reviewed = []
    for photo, name in kept:
        going_on()
        reviewed.append(_Reviewed(photo=photo, image=name, marks=keep_marks(wiring, photo, name, folder)))
    train = [each for each in reviewed if _learnt_from(each, request)]
    judged = [each for each in reviewed if not _learnt_from(each, request)]
    _write_index(folder / "reviewed", train, request.emphasis)
    _write_index(folder / "held_out", judged, 1)
    contents = {
        "reviewed": len(kept),
        "false_alarms": sum(not photo.tampered for photo, _ in kept),
        "confirmed": sum(photo.tampered for photo, _ in kept),
        "masks": sum(each.marks is not None and each.marks.known is None for each in reviewed),
        "scribbles": sum(each.marks is not None and each.marks.known is not None for each in reviewed),
        "labels_alone": sum(each.says_no_more for each in train),
        "trained_on": len(train),
        "held_out": len(judged),
        "photographs": [_named(photo) for photo, _ in kept],
        "excluded": [asdict(each) for each in excluded],
        "base": {path: _hash_of_source(Path(path)) for path in request.data},
        "evaluated": {path: _hash_of_source(Path(path)) for path in request.evaluate},
        "emphasis": request.emphasis,
    }
    text = json.dumps(contents, sort_keys=True)
    sha = hashlib.sha256(text.encode()).hexdigest()
    archive.keep_contents(sha, text)
    with replacing(done) as partial:
        partial.write_text(text, encoding="utf-8")
    return _read(done)


def _with_drawing(wiring: Wiring, review: Review) -> Review:
    """The same with the drawing that holds, where somebody has agreed with it later."""
    if review.decision is not Decision.CONFIRMED or review.drawing is not None:
        return review
    drawn = wiring.drawings.holding(review.ref)
    return review if drawn is None else replace(review, drawing=drawn.drawing, created_at=drawn.created_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reviewed:
    """A photograph of the snapshot, and its files by name."""

    photo: LabelledPhoto
    image: str
    #: where it was tampered with; None for an authentic one, and where nobody drew that
    marks: KeptMarks | None

    @property
    def says_no_more(self) -> bool:
        """Whether all that is known is that it was tampered with."""
        return self.photo.tampered and self.marks is None


def _learnt_from(each: _Reviewed, request: RetrainRequest) -> bool:
    """Whether it is trained on, and not for judging alone."""
    return not each.photo.held_out and (request.weak > 0 or not each.says_no_more)


def _named(photo: LabelledPhoto) -> dict[str, Any]:
    drawing = None if photo.drawing is None else {"kind": photo.drawing.kind.value, "sha256": photo.drawing.sha256}
    return {"sha256": photo.sha256, "tampered": photo.tampered, "drawing": drawing}


def _read(done: Path) -> Snapshot:
    text = done.read_text(encoding="utf-8")
    folder = done.parent
    places = [folder / name if (folder / name / "index.csv").exists() else None for name in ("reviewed", "held_out")]
    return Snapshot(
        sha256=hashlib.sha256(text.encode()).hexdigest(), contents=json.loads(text), train=places[0], held_out=places[1]
    )


def _fetch(wiring: Wiring, photo: LabelledPhoto, folder: Path, archive: SnapshotArchive) -> str | Excluded:
    """The photograph as a file of the folder, and its bytes in the archive, by their hash; gives the file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    there = next(iter(folder.glob(f"{photo.sha256}.*")), None)
    if there is not None:
        return there.name
    try:
        storage = wiring.open_storage(photo.container)
        data = storage.read(photo.key, version_id=photo.version_id, max_bytes=wiring.settings.max_image_bytes)
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            return Excluded(sha256=photo.sha256, key=photo.key, reason="it has changed since it was scored")
        name = photo.sha256 + _ENDINGS.get(image_format(data), ".img")
    except (StorageError, InvalidSource, ImageUnreadable) as error:
        return Excluded(sha256=photo.sha256, key=photo.key, reason=str(error))
    archive.keep_photograph(photo.sha256, data)
    with replacing(folder / name) as partial:
        partial.write_bytes(data)
    return name


def _without_lookalikes(
    kept: Sequence[tuple[LabelledPhoto, str]],
    folder: Path,
    evaluated: Sequence[Fingerprint],
    excluded: list[Excluded],
    going_on: Callable[[], None],
) -> list[tuple[LabelledPhoto, str]]:
    """Those that no evaluated photograph nearly equals; the others are added to `excluded`."""
    from ncl_model.data.duplicates import near_pairs

    looks = [_look((folder / name).read_bytes(), going_on) for _, name in kept]
    seen = [(place, look) for place, look in enumerate(looks) if look is not None]
    pairs = near_pairs([*evaluated, *(look for _, look in seen)])
    leaking = {seen[j - len(evaluated)][0] for i, j in pairs if i < len(evaluated) <= j}
    for place in sorted(leaking):
        photo = kept[place][0]
        reason = "it nearly equals a photograph that models are measured on"
        excluded.append(Excluded(sha256=photo.sha256, key=photo.key, reason=reason))
    return [each for place, each in enumerate(kept) if place not in leaking]


def _looks(paths: Sequence[str], going_on: Callable[[], None]) -> list[Fingerprint]:
    """What every photograph in these sources looks like from afar; a broken one looks like nothing."""
    from ncl_model.data.datasets import find_sources

    samples = [sample for source in find_sources([Path(path) for path in paths]) for sample in source.samples]
    looks = (_look(sample.image.read_bytes(), going_on) for sample in samples)
    return [look for look in looks if look is not None]


def _look(data: bytes, going_on: Callable[[], None]) -> Fingerprint | None:
    from ncl_model.data.duplicates import fingerprint
    from ncl_model.imaging.decoding import decode_photo

    going_on()
    try:
        return fingerprint(decode_photo(data))
    except ImageUnreadable:
        return None


def _write_index(folder: Path, reviewed: Sequence[_Reviewed], times: int) -> None:
    if not reviewed:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "index.csv") as partial, partial.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["image", "mask", "group", "label", "known"])
        for each in reviewed:
            names = (None, None) if each.marks is None else (each.marks.mask, each.marks.known)
            mask, known = ("" if name is None else f"../masks/{name}" for name in names)
            row = [f"../images/{each.image}", mask, each.photo.sha256, int(each.photo.tampered), known]
            writer.writerows([row] * times)


def _hashes(paths: Sequence[str], going_on: Callable[[], None]) -> frozenset[str]:
    """sha256 of every photograph in these sources."""
    from ncl_model.data.datasets import find_sources

    found = set()
    for source in find_sources([Path(path) for path in paths]):
        for sample in source.samples:
            going_on()
            found.add(hashlib.sha256(sample.image.read_bytes()).hexdigest())
    return frozenset(found)


def _hash_of_source(path: Path) -> str:
    """Of names and sizes: enough to see that a source is another one now."""
    root = path if path.is_dir() else path.parent
    files = sorted(each for each in root.rglob("*") if each.is_file())
    told = "\n".join(f"{each.relative_to(root).as_posix()} {each.stat().st_size}" for each in files)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
