"""The published layouts of seven collections, read as they come out of their archives.

Each reader says which pictures share source photographs, by ``group``, as far as the collection tells. A mask that
is missing is named all the same: whoever uses the samples checks the files, and says so for all of them at once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ncl_model.errors import DatasetInvalid
from ncl_model.grouping import Groups
from ncl_model.sample import Sample

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})

#: names of CASIA: kind, then for tampered ones whether both sources are one (S) or different (D)
_CASIA_AUTHENTIC = re.compile(r"(?:Au)_[a-z]{3}_\d{4,5}")
_CASIA_TAMPERED = re.compile(r"(?:Sp|Tp)_[DS]_")
_CASIA_SOURCE = re.compile(r"(?<![A-Za-z])([a-z]{3})_?(\d{4,5})(?!\d)")
_CASIA_MASK = re.compile(r"_gt\d?$")
#: a picture of COCO, as DEFACTO names it
_COCO_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One published layout."""

    name: str
    #: whether a folder is laid out like this; looks at names only
    fits: Callable[[Path], bool]
    #: the samples of such a folder, sorted by path
    read: Callable[[Path], list[Sample]]


def find_layout(folder: Path) -> Layout | None:
    """The published layout ``folder`` has, or None."""
    return next((layout for layout in LAYOUTS if layout.fits(folder)), None)


def is_photo(path: Path) -> bool:
    """Whether the name is that of a picture; hidden files are not."""
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def is_tampered_name(path: Path) -> bool:
    """Whether a published layout gives such names to tampered pictures, so that no reader takes them for authentic."""
    parents = {path.parent.name, path.parent.parent.name}
    return (
        bool(_CASIA_TAMPERED.match(path.name))
        or "4cam_splc" in parents
        or (path.parent.name == "img" and path.parent.parent.name.endswith("_img"))
    )


def _photos(folder: Path) -> Iterator[Path]:
    """All pictures below ``folder``, sorted."""
    yield from sorted(path for path in folder.rglob("*") if is_photo(path))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _beside(paths: Iterator[Path] | list[Path], stem: str, missing: Path) -> Path:
    """The path with that stem, or the one that ought to be there."""
    return next((path for path in paths if path.stem == stem), missing)


# --- CASIA 1.0 and 2.0 ---


def _fits_casia(folder: Path) -> bool:
    if _holds_casia(folder):
        return True
    inside = _folders(folder)
    return all(path.name.lower().startswith("casia") for path in inside) and any(map(_holds_casia, inside))


def _holds_casia(folder: Path) -> bool:
    names = {path.name for path in _folders(folder)}
    return "Au" in names and bool(names & {"Tp", "Modified Tp", "Sp", "CM"})


def read_casia(folder: Path) -> list[Sample]:
    """CASIA 1.0 (Au, Tp/CM, Tp/Sp, or Modified Tp/Tp/...) or 2.0 (Au, Tp), with the masks people made for them.

    The masks lie in a folder of their own below ``folder`` (usually "CASIA 1.0 groundtruth", "CASIA 2 Groundtruth")
    as STEM_gt.png. Some pictures were published under a wrong name: then the mask with the same serial number, the
    last number of the name, is taken if there is just one. Names hold the ids of both sources: pictures are joined
    through them, and authentic photographs by their own id. In CASIA 2.0 that makes large groups.
    Sources: Dong, Wang, Tan, "CASIA image tampering detection evaluation database", ChinaSIP 2013; the masks of
    github.com/namtpham/casia1groundtruth and casia2groundtruth; layouts as in CAT-Net's and photoholmes' readers.
    """
    authentic: list[Path] = []
    tampered: list[Path] = []
    masks: dict[str, Path] = {}
    for path in _photos(folder):
        if _CASIA_MASK.search(path.stem):
            masks.setdefault(_CASIA_MASK.sub("", path.stem), path)
        elif _CASIA_AUTHENTIC.match(path.name):
            authentic.append(path)
        elif _CASIA_TAMPERED.match(path.name):
            tampered.append(path)
    groups = Groups()
    sources = {path: _casia_sources(path) for path in authentic + tampered}
    for ids in sources.values():
        groups.join(ids)
    by_serial = _by_serial(masks, {path.stem for path in tampered})
    samples = [Sample(image=path, mask=None, group=f"casia-{groups.find(sources[path][0])}") for path in authentic]
    for path in tampered:
        mask = masks.get(path.stem) or by_serial.get(_serial(path.stem)) or path.with_name(f"{path.stem}_gt.png")
        samples.append(Sample(image=path, mask=mask, group=f"casia-{groups.find(sources[path][0])}"))
    return samples


def _casia_sources(path: Path) -> list[str]:
    return [kind + number for kind, number in _CASIA_SOURCE.findall(path.stem)] or [path.stem]


def _serial(stem: str) -> str:
    return stem.rsplit("_", 1)[-1]


def _by_serial(masks: dict[str, Path], images: set[str]) -> dict[str, Path]:
    """Masks that no image of the same name claims, by serial number, where that is unique."""
    found: dict[str, Path | None] = {}
    for stem, path in masks.items():
        if stem not in images:
            found[_serial(stem)] = None if _serial(stem) in found else path
    return {serial: path for serial, path in found.items() if path is not None}


# --- NIST16 ---


def _nist16_lists(folder: Path) -> list[Path]:
    return sorted(folder.glob("reference/manipulation/*-ref*.csv"))


def read_nist16(folder: Path) -> list[Sample]:
    """The Nimble 2016 release: probe/, world/ and reference/manipulation/*-ref.csv, which covers all manipulations.

    Columns ProbeFileName, ProbeMaskFileName, IsTarget (Y: manipulated), BaseFileName, DonorFileName, divided by "|"
    (or "," in one version); paths are relative to ``folder``. In its masks black is tampered. Pictures made from one
    base or one donor photograph are one group: the release varies each scene many times.
    Sources: NIST MediScore (DetectionScorer, MaskScorer) for the columns; CAT-Net's and OMG-Fuser's tools for black.
    """
    path = _nist16_lists(folder)[0]
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = "|" if "|" in file.readline() else ","
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=delimiter))
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetInvalid(f"{path}: cannot be read as a list ({error})") from error
    missing = {"ProbeFileName", "ProbeMaskFileName", "IsTarget", "BaseFileName"} - set(rows[0] if rows else ())
    if missing:
        raise DatasetInvalid(f"{path}: no column {', '.join(sorted(missing))}; is this the Nimble 2016 reference list?")
    groups = Groups()
    for row in rows:
        groups.join(name for column in _NIST16_SOURCES if (name := row.get(column) or ""))
    samples = []
    for line, row in enumerate(rows, start=2):
        tampered = row["IsTarget"] == "Y"
        samples.append(
            Sample(
                image=folder / row["ProbeFileName"],
                mask=folder / (row["ProbeMaskFileName"] or "no mask is named") if tampered else None,
                group=f"nist16-{Path(groups.find(row['ProbeFileName'])).stem}",
                tampered_colour="black",
                origin=f"{path}, line {line}",
            )
        )
    return samples


_NIST16_SOURCES = ("ProbeFileName", "BaseFileName", "DonorFileName")


# --- Columbia ---


def _fits_columbia(folder: Path) -> bool:
    return (folder / "4cam_splc").is_dir() or (folder / "4cam_auth").is_dir()


def read_columbia(folder: Path) -> list[Sample]:
    """Columbia Uncompressed Image Splicing: 4cam_auth/, 4cam_splc/ and 4cam_splc/edgemask/STEM_edgemask.jpg.

    Edge masks show the two photographs of a splice in red and green, bright near the border; green is taken as the
    pasted one, as other readers do. A name tells the cameras (CAMERA_SCENE_sub_NN, CAMERA_CAMERA_sub_NN), never the
    photographs a splice was made from, so everything that may share one is a group: the full set is a single one.
    Sources: ee.columbia.edu/ln/dvmm/downloads/authsplcuncmp (Hsu and Chang, ICME 2006); photoholmes' reader.
    """
    groups = Groups()
    authentic = [path for path in _photos(folder / "4cam_auth") if "_sub_" in path.stem]
    spliced = [path for path in _photos(folder / "4cam_splc") if _is_spliced(path)]
    masks = {path.stem: path for path in _photos(folder / "4cam_splc") if path.parent.name == "edgemask"}
    for path in spliced:
        groups.join(path.stem.split("_")[:2])
    samples = [
        Sample(image=path, mask=None, group=f"columbia-{groups.find(path.stem.split('_')[0])}") for path in authentic
    ]
    for path in spliced:
        name = f"{path.stem}_edgemask"
        mask = masks.get(name) or folder / "4cam_splc" / "edgemask" / f"{name}.jpg"
        group = f"columbia-{groups.find(path.stem.split('_')[0])}"
        samples.append(Sample(image=path, mask=mask, group=group, tampered_colour="green"))
    return samples


def _is_spliced(path: Path) -> bool:
    return "_sub_" in path.stem and path.parent.name != "edgemask" and "edgemask" not in path.stem


# --- COVERAGE ---


def _fits_coverage(folder: Path) -> bool:
    return (folder / "image").is_dir() and any((folder / "mask").glob("*forged.*"))


def read_coverage(folder: Path) -> list[Sample]:
    """COVERAGE: image/N.tif (original), image/Nt.tif (copy-move), mask/Nforged.tif; each number is a group.

    Nine masks were published in another size than their picture.
    Source: Wen et al., "COVERAGE: a novel database for copy-move forgery detection", ICIP 2016,
    github.com/wenbihan/coverage.
    """
    masks = sorted((folder / "mask").glob("*forged.*"))
    samples = []
    for path in _photos(folder / "image"):
        number = path.stem.removesuffix("t")
        missing = folder / "mask" / f"{number}forged.tif"
        mask = _beside(masks, f"{number}forged", missing) if path.stem.endswith("t") else None
        samples.append(Sample(image=path, mask=mask, group=f"coverage-{number}"))
    return samples


# --- DEFACTO ---


def _fits_defacto(folder: Path) -> bool:
    """Its own folders, or nothing but folders of its kinds."""
    inside = _folders(folder)
    return bool(_defacto_folders(folder)) or (bool(inside) and all(_defacto_folders(path) for path in inside))


def _defacto_folders(folder: Path) -> list[Path]:
    """The NAME_img/img folders right below; NAME is copymove, inpainting, splicing_1 and so on."""
    found = sorted(folder.glob("*_img/img"))
    return [path for path in found if (_defacto_annotations(path) / "probe_mask").is_dir()]


def _defacto_annotations(images: Path) -> Path:
    return images.parent.with_name(images.parent.name.removesuffix("_img") + "_annotations")


def read_defacto(folder: Path) -> list[Sample]:
    """DEFACTO: NAME_img/img/N_COCOID.tif and NAME_annotations/probe_mask/N_COCOID.jpg (and graph/N_COCOID.json).

    All pictures are tampered. The name holds the COCO id of the picture worked on, the graph those of donors; pictures
    that share one are a group. Masks are JPEG, and some are of another size than their picture.
    Source: Mahfoudi et al., "DEFACTO: image and face manipulation dataset", EUSIPCO 2019, defactodataset.github.io.
    """
    found: list[tuple[Path, Path, list[str]]] = []
    groups = Groups()
    for images in _defacto_folders(folder) or [path for kind in _folders(folder) for path in _defacto_folders(kind)]:
        notes = _defacto_annotations(images)
        masks = {path.stem: path for path in (notes / "probe_mask").iterdir() if is_photo(path)}
        for path in _photos(images):
            sources = _COCO_ID.findall(path.stem) or [path.stem]
            graph = notes / "graph" / f"{path.stem}.json"
            if graph.is_file():
                sources += _COCO_ID.findall(graph.read_text(encoding="utf-8", errors="replace"))
            groups.join(sources)
            found.append((path, masks.get(path.stem) or notes / "probe_mask" / f"{path.stem}.jpg", sources))
    return [Sample(image=path, mask=mask, group=f"defacto-{groups.find(sources[0])}") for path, mask, sources in found]


# --- IMD2020 ---


def _fits_imd2020(folder: Path) -> bool:
    return any(path.stem == f"{path.parent.name}_orig" for path in folder.glob("*/*_orig.*"))


def read_imd2020(folder: Path) -> list[Sample]:
    """IMD2020, real-life manipulated images: one folder per original, ID/ID_orig.jpg, ID/X.jpg|png, ID/X_mask.png.

    Each folder is a group.
    Source: Novozamsky, Mahdian, Saic, "IMD2020: a large-scale annotated dataset ...", WACV workshops 2020,
    staff.utia.cas.cz/novozada/db; CAT-Net's reader.
    """
    samples = []
    for path in sorted(path for path in folder.glob("*/*") if is_photo(path)):
        if path.stem.endswith("_mask"):
            continue
        authentic = path.stem.endswith("_orig")
        mask = None if authentic else path.with_name(f"{path.stem}_mask.png")
        samples.append(Sample(image=path, mask=mask, group=f"imd2020-{path.parent.name}"))
    return samples


LAYOUTS: tuple[Layout, ...] = (
    Layout(name="NIST16", fits=lambda folder: bool(_nist16_lists(folder)), read=read_nist16),
    Layout(name="Columbia", fits=_fits_columbia, read=read_columbia),
    Layout(name="COVERAGE", fits=_fits_coverage, read=read_coverage),
    Layout(name="DEFACTO", fits=_fits_defacto, read=read_defacto),
    Layout(name="IMD2020", fits=_fits_imd2020, read=read_imd2020),
    Layout(name="CASIA", fits=_fits_casia, read=read_casia),
)
