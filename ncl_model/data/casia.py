"""CASIA 1.0 and 2.0: the collections most networks of the field are trained and judged on."""

from __future__ import annotations

import re
from pathlib import Path

from ncl_model.data.grouping import Groups
from ncl_model.data.photo_files import folders_in, photos_below
from ncl_model.data.sample import Sample

#: names of CASIA: kind, then for tampered ones whether both sources are one (S) or different (D)
_AUTHENTIC = re.compile(r"(?:Au)_[a-z]{3}_\d{4,5}")
_TAMPERED = re.compile(r"(?:Sp|Tp)_[DS]_")
_SOURCE = re.compile(r"(?<![A-Za-z])([a-z]{3})_?(\d{4,5})(?!\d)")
_MASK = re.compile(r"_gt\d?$")
_MASK_FOLDER = re.compile(r"^(gt|masks?)$|ground ?truth")
_TAMPERED_FOLDERS = frozenset({"tp", "sp", "cm"})
#: pictures that come with the masks, to look at: copies of some that are elsewhere
_SAMPLES = "samples"


def fits_casia(folder: Path) -> bool:
    """Whether the folder holds CASIA 1.0 or 2.0, or nothing but folders named casia..., one of which does."""
    if _holds(folder):
        return True
    inside = folders_in(folder)
    return all(path.name.lower().startswith("casia") for path in inside) and any(map(_holds, inside))


def _holds(folder: Path) -> bool:
    names = {path.name for path in folders_in(folder)}
    return "Au" in names and bool(names & {"Tp", "Modified Tp", "Sp", "CM"})


def read_casia(folder: Path) -> list[Sample]:
    """CASIA 1.0 (Au, Tp/CM, Tp/Sp, or Modified Tp/Tp/...) or 2.0 (Au, Tp), with the masks people made for them.

    The masks lie in a folder of their own below ``folder`` (usually "CASIA 1.0 groundtruth", "CASIA 2 Groundtruth")
    as STEM_gt.png, or as STEM.png in a folder named for masks. Some pictures were published under a wrong name: then
    the mask with the same serial number, the last number of the name, is taken if there is just one. Names hold the
    ids of both sources: pictures are joined through them, and authentic photographs by their own id. In CASIA 2.0 that
    makes large groups.
    Sources: Dong, Wang, Tan, "CASIA image tampering detection evaluation database", ChinaSIP 2013; the masks of
    github.com/namtpham/casia1groundtruth and casia2groundtruth; layouts as in CAT-Net's and photoholmes' readers.
    """
    authentic: list[Path] = []
    tampered: list[Path] = []
    masks: dict[str, Path] = {}
    for path in photos_below(folder):
        parents = {part.lower() for part in path.relative_to(folder).parts[:-1]}
        if _SAMPLES in parents:
            continue
        if _MASK.search(path.stem) or any(_MASK_FOLDER.search(part) for part in parents):
            masks.setdefault(_MASK.sub("", path.stem), path)
        elif "au" in parents and _AUTHENTIC.match(path.name):
            authentic.append(path)
        elif parents & _TAMPERED_FOLDERS and _TAMPERED.match(path.name):
            tampered.append(path)
    groups = Groups()
    sources = {path: _sources(path) for path in authentic + tampered}
    for ids in sources.values():
        groups.join(ids)
    by_serial = _by_serial(masks, {path.stem for path in tampered})
    samples = [Sample(image=path, mask=None, group=f"casia-{groups.find(sources[path][0])}") for path in authentic]
    for path in tampered:
        mask = masks.get(path.stem) or by_serial.get(_serial(path.stem)) or path.with_name(f"{path.stem}_gt.png")
        samples.append(Sample(image=path, mask=mask, group=f"casia-{groups.find(sources[path][0])}"))
    return samples


def _sources(path: Path) -> list[str]:
    return [kind + number for kind, number in _SOURCE.findall(path.stem)] or [path.stem]


def _serial(stem: str) -> str:
    return stem.rsplit("_", 1)[-1]


def _by_serial(masks: dict[str, Path], images: set[str]) -> dict[str, Path]:
    """Masks that no image of the same name claims, by serial number, where that is unique."""
    found: dict[str, Path | None] = {}
    for stem, path in masks.items():
        if stem not in images:
            found[_serial(stem)] = None if _serial(stem) in found else path
    return {serial: path for serial, path in found.items() if path is not None}


def is_tampered_casia(path: Path) -> bool:
    """Whether CASIA gives such names to tampered pictures."""
    return bool(_TAMPERED.match(path.name))
