"""What is in some sets of photographs, before they are trained on or judged by: counts, faults, copies."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ncl_model.data.checking import FileCheck, Progress, look_at, no_progress
from ncl_model.data.datasets import Source, find_sources
from ncl_model.data.duplicates import Fingerprint, fingerprint, near_pairs
from ncl_model.data.file_bytes import read_file
from ncl_model.data.problems import Problem
from ncl_model.data.sample import Sample
from ncl_model.data.shortcuts import tables_auc

#: a group with more than this share of a source's photographs makes any split of it coarse [ours]
_LARGE_GROUP = 0.2
#: from which ratio on the sizes of tampered and authentic files are noted, with so many of each at least [ours]
_UNEQUAL = 1.25
_ENOUGH = 20
#: from which image AUC of the quantisation tables on they are noted [ours]
_TOLD_BY_TABLES = 0.7
#: quantiles of the tampered area that are told
_QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """One source."""

    name: str
    layout: str
    tampered: int
    authentic: int
    #: with a region map
    regions: int
    groups: int
    #: photographs of the largest group
    largest_group: int
    #: bytes of all readable images
    bytes: int
    #: (width, height) of the smallest, the median and the largest image by pixels; empty when none can be read
    sizes: tuple[tuple[int, int], ...]
    #: images of each file format, the most frequent first
    formats: dict[str, int]
    #: smallest, 10 %, median, 90 % and largest share of tampered pixels, 0 to 1; empty without masks
    tampered_area: tuple[float, ...]
    problems: tuple[Problem, ...]
    #: image AUC of the JPEG quantisation tables alone; None where a class is missing
    tables_auc: float | None = None
    #: what a user ought to know, in words
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Two photographs that are nearly the same."""

    first: Sample
    second: Sample
    #: positions of their sources in the inspection
    sources: tuple[int, int]
    #: the files are equal byte by byte
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything found."""

    sources: tuple[SourceReport, ...]
    #: nearly equal photographs that a split could divide: in different groups, or in different sources
    copies: tuple[Copy, ...] = ()
    #: pairs of nearly equal photographs of one source and group, as a splice and its original are; nothing to mend
    within_group: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def problems(self) -> list[Problem]:
        return [problem for source in self.sources for problem in source.problems]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "sources": [_source_dict(source) for source in self.sources],
            "copies": [_copy_dict(copy, self.sources) for copy in self.copies],
            "within_group": self.within_group,
            "notes": list(self.notes),
        }


def inspect_sources(
    paths: Sequence[Path], *, work: Path | None = None, grey_masks: bool = False, progress: Progress = no_progress
) -> Inspection:
    """Look into every file of the sources; arguments as ``Material.load`` takes them.

    Raises DatasetInvalid only when a path is no source or a list is malformed; faults of files are in the result.
    """
    sources = find_sources(paths, work=work)
    samples = [sample for source in sources for sample in source.samples]
    seen: dict[int, Fingerprint] = {}
    places = {id(sample): place for place, sample in enumerate(samples)}
    looks = list(
        look_at(
            samples,
            grey_masks=grey_masks,
            see=lambda sample, pixels: seen.__setitem__(places[id(sample)], fingerprint(pixels)),
            progress=progress,
        )
    )
    owners = [position for position, source in enumerate(sources) for _ in source.samples]
    copies, within_group = _find_copies(samples, owners, seen)
    reports = []
    for position, source in enumerate(sources):
        own = [look for look, owner in zip(looks, owners, strict=True) if owner == position]
        inside = sum(copy.sources == (position, position) for copy in copies)
        reports.append(_report(source, own, inside))
    return Inspection(
        sources=tuple(reports), copies=tuple(copies), within_group=within_group, notes=tuple(_notes(reports, copies))
    )


def _find_copies(samples: list[Sample], owners: list[int], seen: dict[int, Fingerprint]) -> tuple[list[Copy], int]:
    """(copies that matter, number of those within a group)."""
    order = sorted(seen)
    copies: list[Copy] = []
    within_group = 0
    digests: dict[Path, bytes] = {}
    for i, j in sorted(near_pairs([seen[place] for place in order])):
        a, b = order[i], order[j]
        first, second = samples[a], samples[b]
        if owners[a] == owners[b] and first.group == second.group:
            within_group += 1
            continue
        exact = _digest(first.image, digests) == _digest(second.image, digests)
        copies.append(Copy(first=first, second=second, sources=(owners[a], owners[b]), exact=exact))
    return copies, within_group


def _digest(path: Path, known: dict[Path, bytes]) -> bytes:
    if path not in known:
        known[path] = hashlib.sha256(read_file(path)).digest()
    return known[path]


def _report(source: Source, looks: list[FileCheck], copies_inside: int) -> SourceReport:
    readable = sorted((look.width * look.height, look.width, look.height) for look in looks if look.format)
    picked = [readable[0], readable[len(readable) // 2], readable[-1]] if readable else []
    areas = [look.tampered_area for look in looks if look.tampered_area is not None]
    groups = Counter(sample.group for sample in source.samples)
    largest = max(groups.values())
    tampered = sum(sample.tampered for sample in source.samples)
    unmasked = sum(sample.unmasked for sample in source.samples)
    notes = []
    if tampered == len(source.samples):
        notes.append(
            "all are tampered: authentic ones must come from another source, for training and for image scores"
        )
    elif not tampered:
        notes.append("all are authentic: for synthesis, and to measure false alarms")
    if unmasked:
        notes.append(
            f"{unmasked} tampered photographs have no mask: good for image-level figures, and for training by their "
            "label alone (weak), but not for figures of where"
        )
    if largest > _LARGE_GROUP * len(looks) and len(looks) > 1:
        share = largest / len(looks)
        notes.append(f"the largest group holds {share:.0%} of the photographs, so a split by group is coarse")
    if areas and float(np.median(areas)) > 0.5:
        notes.append(
            "more than half of the pixels are tampered in most masks: are they inverted? Then say black in the "
            "column tampered_colour"
        )
    ratio = _size_ratio(looks)
    if ratio is not None and not 1 / _UNEQUAL < ratio < _UNEQUAL:
        notes.append(
            f"tampered files take {ratio:.2f} times the bytes per pixel of authentic ones: they were saved in another "
            "way, and a network may learn that instead of tampering"
        )
    known = tables_auc(source.samples)
    if known > _TOLD_BY_TABLES:
        notes.append(
            f"the JPEG quantisation tables alone tell tampered from authentic files (AUC {known:.2f}): image-level "
            "figures on this set say little unless authentic files are saved again (nclscreen evaluate --resave)"
        )
    if copies_inside:
        notes.append(
            f"{_pairs(copies_inside)} of nearly equal photographs in different groups: give each pair one group, "
            "or a split may train on what it tests"
        )
    return SourceReport(
        name=source.name,
        layout=source.layout,
        tampered=tampered,
        authentic=len(looks) - tampered,
        regions=sum(sample.regions is not None for sample in source.samples),
        groups=len(groups),
        largest_group=largest,
        bytes=sum(look.bytes for look in looks),
        sizes=tuple((width, height) for _, width, height in picked),
        formats=dict(Counter(look.format for look in looks if look.format).most_common()),
        tampered_area=tuple(float(q) for q in np.quantile(areas, _QUANTILES)) if areas else (),
        problems=tuple(problem for look in looks for problem in look.problems),
        tables_auc=None if math.isnan(known) else known,
        notes=tuple(notes),
    )


def _notes(reports: list[SourceReport], copies: list[Copy]) -> list[str]:
    notes = []
    if not any(report.authentic for report in reports):
        notes.append(
            "nothing authentic in all sources: a network cannot be trained, nor false alarms measured, with these"
        )
    if not any(report.tampered or report.regions for report in reports):
        notes.append("nothing tampered and no region maps in all sources: there is nothing to learn tampering from")
    across = Counter(copy.sources for copy in copies if copy.sources[0] != copy.sources[1])
    for (a, b), count in sorted(across.items()):
        notes.append(
            f"{_pairs(count)} of nearly equal photographs in {reports[a].name} and {reports[b].name}: "
            "do not train on one and test on the other"
        )
    return notes


def _size_ratio(looks: list[FileCheck]) -> float | None:
    """Median bytes per pixel of tampered images to that of authentic ones of the same, most frequent format."""
    formats = Counter(look.format for look in looks if look.format)
    if not formats:
        return None
    common = formats.most_common(1)[0][0]
    densities: dict[bool, list[float]] = {True: [], False: []}
    for look in looks:
        if look.format == common:
            densities[look.sample.tampered].append(look.bytes / (look.width * look.height))
    if min(map(len, densities.values())) < _ENOUGH:
        return None
    return float(np.median(densities[True]) / np.median(densities[False]))


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"


def _source_dict(source: SourceReport) -> dict[str, Any]:
    return {
        "name": source.name,
        "layout": source.layout,
        "tampered": source.tampered,
        "authentic": source.authentic,
        "regions": source.regions,
        "groups": source.groups,
        "largest_group": source.largest_group,
        "bytes": source.bytes,
        "sizes": [list(size) for size in source.sizes],
        "formats": source.formats,
        "tampered_area": [round(area, 6) for area in source.tampered_area],
        "problems": [{"kind": p.kind, "where": p.where, "message": p.message} for p in source.problems],
        "tables_auc": source.tables_auc,
        "notes": list(source.notes),
    }


def _copy_dict(copy: Copy, sources: tuple[SourceReport, ...]) -> dict[str, Any]:
    sides = zip((copy.first, copy.second), copy.sources, strict=True)
    return {
        "images": [
            {"source": sources[place].name, "image": str(sample.image), "group": sample.group}
            for sample, place in sides
        ],
        "exact": copy.exact,
    }
