"""Folders whose names are labels: ``tampered/`` and ``authentic/``, with ``masks/`` beside them or without any."""

from __future__ import annotations

from pathlib import Path

from ncl_model.data.photo_files import folders_in, is_photo
from ncl_model.data.sample import Sample

#: names, in small letters, of folders that hold tampered and authentic photographs, masks and region maps
TAMPERED = frozenset({"tampered", "forged", "fake", "manipulated", "spliced"})
AUTHENTIC = frozenset({"authentic", "original", "originals", "pristine", "real"})
_MASKS = frozenset({"mask", "masks", "groundtruth", "gt"})
_MAPS = "regions"
#: what collections put behind a photograph's name to name its mask
_MASK_ENDS = ("_mask", "_gt", "")


def is_tampered_folder(folder: Path) -> bool:
    """Whether the name says that the photographs in it are tampered; ``images`` in such a folder is one too."""
    named = folder.parent if folder.name == "images" else folder
    return named.name.lower() in TAMPERED


def fits_named_folders(folder: Path) -> bool:
    """Whether it holds photographs in a folder named for tampered ones, and otherwise in such for authentic ones."""
    names = {path.name.lower() for path in folders_in(folder) if any(map(is_photo, path.iterdir()))}
    return bool(names & TAMPERED) and names <= TAMPERED | AUTHENTIC | _MASKS | {_MAPS}


def read_named_folders(folder: Path) -> list[Sample]:
    """Authentic and tampered photographs, sorted by path; a photograph and a version of the same name are a group.

    ``masks/STEM.png`` (or STEM_mask, STEM_gt) marks what was tampered with; without it the sample is ``unmasked``.
    Region maps of authentic ones are taken from ``regions/STEM.png``.
    """
    maps = {path.stem: path for path in sorted((folder / _MAPS).glob("*.png"))}
    samples: list[Sample] = []
    for inside in folders_in(folder):
        if inside.name.lower() in AUTHENTIC:
            plain = sorted(path for path in inside.iterdir() if is_photo(path))
            samples += [Sample(image=p, mask=None, group=p.stem, regions=maps.get(p.stem)) for p in plain]
        elif inside.name.lower() in TAMPERED:
            samples += read_tampered_folder(inside)
    return samples


def read_tampered_folder(folder: Path) -> list[Sample]:
    """Every photograph directly in ``folder`` as a tampered sample, sorted by name, with the masks beside it."""
    masks = _masks_beside(folder.parent if folder.name == "images" else folder)
    samples = []
    for path in sorted(path for path in folder.iterdir() if is_photo(path)):
        mask = next((masks[path.stem + end] for end in _MASK_ENDS if path.stem + end in masks), None)
        samples.append(Sample(image=path, mask=mask, group=path.stem, unmasked=mask is None))
    return samples


def _masks_beside(folder: Path) -> dict[str, Path]:
    """By stem, from the folders for masks beside ``folder`` and inside it."""
    places = [path for place in (folder.parent, folder) for path in folders_in(place)]
    found = [path for place in places if place.name.lower() in _MASKS for path in sorted(place.iterdir())]
    return {path.stem: path for path in found if is_photo(path)}
