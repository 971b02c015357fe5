"""Sources of labelled photographs, and the split by group: the only way of splitting there is.

A source is a path: an index.csv, a folder that holds one, a published layout, a folder of photographs, which are
authentic unless its name says that they are tampered, or a PACK. All readers give ``Sample``; only names are looked
at here, ``checking`` looks into the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ncl_model.data.index_file import INDEX_NAME, parse_index, read_index
from ncl_model.data.layouts import find_layout, is_tampered_name
from ncl_model.data.named_folders import is_tampered_folder, read_tampered_folder
from ncl_model.data.photo_files import is_photo
from ncl_model.data.problems import missing_files, refuse
from ncl_model.data.sample import Sample
from ncl_model.data.unpacking import is_pack, unpack
from ncl_model.errors import DatasetInvalid

__all__ = ["Sample", "Source", "read_folder", "read_index", "read_source", "split_by_group"]

#: sources that an error proposes
_NAMED = 12


@dataclass(frozen=True, kw_only=True)
class Source:
    """One set of samples, as found at a path."""

    #: the end of the path: enough to know it again, without the machine's folders
    name: str
    #: "index.csv", the name of a layout, "photographs" or "tampered photographs"
    layout: str
    samples: list[Sample]
    #: somebody told tampered photographs in it; otherwise it is a set of authentic photographs
    labelled: bool

    @classmethod
    def of(cls, path: Path, layout: str, samples: list[Sample]) -> Source:
        """The source at ``path`` with these samples."""
        parts = [part for part in path.resolve().parts[-2:] if part != "/"]
        labelled = any(sample.tampered for sample in samples)
        return cls(name="/".join(parts), layout=layout, samples=samples, labelled=labelled)


def read_source(path: Path, *, work: Path | None = None) -> list[Sample]:
    """The samples of a source, in a stable order; a PACK is unpacked into ``work`` (default: the user's cache).

    Raises DatasetInvalid when the path is no source, a list is malformed, or a file it names does not exist: all
    such problems in one error.
    """
    samples = [sample for source in find_sources([path], work=work) for sample in source.samples]
    refuse([problem for sample in samples for problem in missing_files(sample)])
    return samples


def find_sources(paths: Sequence[Path], *, work: Path | None = None) -> list[Source]:
    """The sources at ``paths``, each path one, a PACK as many as were packed. Named files may be missing.

    Raises DatasetInvalid when a path is no source or a list is malformed.
    """
    found: list[Source] = []
    for path in paths:
        try:
            if is_pack(path):
                found += [replace(_source(folder), name=folder.name) for folder in unpack(path, work)]
            else:
                found.append(_source(path))
        except OSError as error:
            raise DatasetInvalid(f"{path}: cannot be read ({error.strerror or error})") from error
    return found


def read_folder(folder: Path) -> list[Sample]:
    """Every photograph directly in ``folder`` as an authentic sample, each its own group, sorted by name.

    Region maps are taken from a folder ``regions`` inside ``folder`` or beside it (STEM.png). Raises DatasetInvalid
    when there is no photograph, or when the names are those of tampered pictures of a published collection.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if is_photo(path))
    except OSError as error:
        raise DatasetInvalid(f"{folder}: cannot be read ({error})") from error
    if not paths:
        raise DatasetInvalid(f"{folder}: no photographs")
    for path in paths:
        if is_tampered_name(path):
            raise DatasetInvalid(
                f"{path}: the name is that of a tampered picture, which would be taken for authentic; "
                "give the folder above, which holds the masks too, or write an index.csv"
            )
    maps = _region_maps(folder)
    return [Sample(image=path, mask=None, group=path.stem, regions=maps.get(path.stem)) for path in paths]


def split_by_group(samples: Sequence[Sample], *, held_out: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """(kept, held out): about ``held_out`` of the groups on the second side, no group on both.

    The side depends on the group's name and the seed alone, so adding samples moves no other, and groups of the
    same name in two sources stay together.
    """
    kept: list[Sample] = []
    out: list[Sample] = []
    for sample in samples:
        digest = hashlib.sha256(f"{seed}|{sample.group}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        (out if share < held_out else kept).append(sample)
    return kept, out


def root_sources(root: Path) -> list[Path]:
    """The sources of the shipped weights below one folder: ``casia1/train`` and two sets of authentic photographs."""
    return [root / "casia1/train", root / "authentic/bsds500", root / "authentic/imagenet_sample"]


def _source(path: Path) -> Source:
    """The one source at a path that is no PACK."""
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise DatasetInvalid(f"{path}: is neither a folder nor an index.csv")
        return Source.of(path.parent, INDEX_NAME, parse_index(path))
    if not path.is_dir():
        raise DatasetInvalid(f"{path}: no such file or folder")
    if (path / INDEX_NAME).is_file():
        return Source.of(path, INDEX_NAME, parse_index(path / INDEX_NAME))
    layout = find_layout(path)
    if layout is not None:
        samples = layout.read(path)
        if not samples:
            raise DatasetInvalid(f"{path}: looks like {layout.name}, but holds none of its pictures")
        return Source.of(path, layout.name, samples)
    images = path / "images"
    folder = images if images.is_dir() and (path / "regions").is_dir() else path
    if any(is_photo(file) for file in folder.iterdir()):
        if is_tampered_folder(folder):
            return Source.of(path, "tampered photographs", read_tampered_folder(folder))
        return Source.of(path, "photographs", read_folder(folder))
    raise DatasetInvalid(f"{path}: {_nothing(path)}")


def _nothing(path: Path) -> str:
    """Why a folder is no source, and what may have been meant: sources one or two levels below."""
    inside: list[str] = []
    for child in sorted(child for child in path.iterdir() if child.is_dir()):
        below = [child] if _is_source(child) else sorted(c for c in child.iterdir() if c.is_dir() and _is_source(c))
        inside += [found.relative_to(path).as_posix() for found in below]
    if inside:
        return f"holds several sources, {', '.join(inside[:_NAMED])}: name the ones you mean"
    return "no index.csv, no published layout, no photographs; docs/data.md lists what can be read"


def _is_source(path: Path) -> bool:
    indexed = (path / INDEX_NAME).is_file() or is_pack(path) or find_layout(path) is not None
    return indexed or (path / "images").is_dir() or any(is_photo(child) for child in path.iterdir())


def _region_maps(folder: Path) -> dict[str, Path]:
    beside = [folder / "regions"] + ([folder.parent / "regions"] if folder.name == "images" else [])
    return {path.stem: path for place in beside for path in sorted(place.glob("*.png"))}
