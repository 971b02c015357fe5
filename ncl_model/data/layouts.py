"""The published layouts of seven collections, read as they come out of their archives, and folders named for labels.

Each reader says which pictures share source photographs, by ``group``, as far as the collection tells. A mask that
is missing is named all the same: whoever uses the samples checks the files, and says so for all of them at once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ncl_model.data.casia import fits_casia, is_tampered_casia, read_casia
from ncl_model.data.grouping import Groups
from ncl_model.data.named_folders import fits_named_folders, read_named_folders
from ncl_model.data.photo_files import folders_in, is_photo, photos_below
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid

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


def is_tampered_name(path: Path) -> bool:
    """Whether a published layout gives such names to tampered pictures, so that no reader takes them for authentic."""
    parents = {path.parent.name, path.parent.parent.name}
    return (
        is_tampered_casia(path)
        or "4cam_splc" in parents
        or (path.parent.name == "img" and path.parent.parent.name.endswith("_img"))
    )


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
    authentic = [path for path in photos_below(folder / "4cam_auth") if "_sub_" in path.stem]
    spliced = [path for path in photos_below(folder / "4cam_splc") if _is_spliced(path)]
    masks = {path.stem: path for path in photos_below(folder / "4cam_splc") if path.parent.name == "edgemask"}
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
    masks = {path.stem: path for path in sorted((folder / "mask").glob("*forged.*"))}
    samples = []
    for path in photos_below(folder / "image"):
        number = path.stem.removesuffix("t")
        missing = folder / "mask" / f"{number}forged.tif"
        mask = masks.get(f"{number}forged", missing) if path.stem.endswith("t") else None
        samples.append(Sample(image=path, mask=mask, group=f"coverage-{number}"))
    return samples


# --- DEFACTO ---


def _fits_defacto(folder: Path) -> bool:
    """Its own folders, or nothing but folders of its kinds."""
    inside = folders_in(folder)
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
    for images in _defacto_folders(folder) or [path for kind in folders_in(folder) for path in _defacto_folders(kind)]:
        notes = _defacto_annotations(images)
        masks = {path.stem: path for path in (notes / "probe_mask").iterdir() if is_photo(path)}
        for path in photos_below(images):
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
    Layout(name="CASIA", fits=fits_casia, read=read_casia),
    Layout(name="named folders", fits=fits_named_folders, read=read_named_folders),
)
