"""index.csv, the list of a data set: one line per photograph, paths relative to the list's folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ncl_model.data.masks import MASK_COLOURS, MaskColour
from ncl_model.data.problems import Problem, missing_files, refuse
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid

INDEX_NAME = "index.csv"
_NEEDED = ("image", "mask", "group")
_OPTIONAL = ("regions", "tampered_colour", "label", "known")
#: what a label says about the whole photograph; an empty one leaves it to the mask
_LABELS = {"": None, "0": False, "1": True}


def read_index(path: Path) -> list[Sample]:
    """Samples of an index.csv: columns image, mask, group and optionally regions, tampered_colour, label and known.

    An empty mask means authentic, unless the label is 1: tampered, but nobody knows where. With the column label that
    of masks may be missing. ``known`` names a picture that marks where the mask says something (scribbles). Raises
    DatasetInvalid when the file cannot be read, a column is missing, or lines are incomplete or name files that do not
    exist: all such lines in one error.
    """
    samples = parse_index(path)
    refuse([problem for sample in samples for problem in missing_files(sample)])
    return samples


def parse_index(path: Path) -> list[Sample]:
    """As ``read_index``, but whether the named files exist is left open."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        _check_header(path, rows.fieldnames)
        samples: list[Sample] = []
        problems: list[Problem] = []
        for row in rows:
            _add(path, rows.line_num, row, samples, problems)
    except UnicodeDecodeError as error:
        raise DatasetInvalid(f"{path}: is not UTF-8 ({error}); save the list as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DatasetInvalid(f"{path}: cannot be read as a list ({error})") from error
    refuse(problems, "Mend these lines.")
    if not samples:
        raise DatasetInvalid(f"{path}: no rows; each photograph needs one: image,mask,group")
    return samples


def write_index(samples: Sequence[Sample], folder: Path) -> str:
    """The text of an index.csv in ``folder`` for samples whose files lie below it; the optional columns as needed."""
    columns = [*_NEEDED]
    if any(sample.regions for sample in samples):
        columns.append("regions")
    if any(sample.tampered_colour != "white" for sample in samples):
        columns.append("tampered_colour")
    if any(sample.unmasked for sample in samples):
        columns.append("label")
    if any(sample.known for sample in samples):
        columns.append("known")
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for sample in samples:
        writer.writerow(
            {
                "image": _relative(sample.image, folder),
                "mask": _relative(sample.mask, folder),
                "group": sample.group,
                "regions": _relative(sample.regions, folder),
                "tampered_colour": sample.tampered_colour,
                "label": int(sample.tampered),
                "known": _relative(sample.known, folder),
            }
        )
    return out.getvalue()


def _relative(path: Path | None, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path else ""


def _check_header(path: Path, header: Sequence[str] | None) -> None:
    found = list(header or ())
    missing = [column for column in _NEEDED if column not in found]
    if missing == ["mask"]:
        missing = [] if "label" in found else ["mask or label"]
    if missing:
        first = ",".join(found) or "nothing"
        raise DatasetInvalid(
            f"{path}, line 1: no column {', '.join(missing)}; the header must be image,mask,group "
            f"(and optionally {', '.join(_OPTIONAL)}), divided by commas, but it is: {first[:200]}"
        )


def _add(path: Path, line: int, row: dict[str, str | None], samples: list[Sample], problems: list[Problem]) -> None:
    """One row as a sample, or as a problem."""
    where = f"{path}, line {line}"
    wrong = _wrong(path, row)
    if wrong:
        problems.append(Problem(kind="row", where=where, message=wrong))
        return
    colour: MaskColour = row.get("tampered_colour") or "white"  # type: ignore[assignment]
    mask = row.get("mask")
    samples.append(
        Sample(
            image=path.parent / str(row["image"]),
            mask=path.parent / mask if mask else None,
            group=str(row["group"]),
            regions=path.parent / str(row["regions"]) if row.get("regions") else None,
            tampered_colour=colour,
            known=path.parent / str(row["known"]) if row.get("known") else None,
            unmasked=not mask and bool(_LABELS[row.get("label") or ""]),
            origin=where,
        )
    )


def _wrong(path: Path, row: dict[str, str | None]) -> str:
    if any(row[column] is None for column in _NEEDED if column in row) or None in row:
        return "the number of fields is not that of the header"
    if not row["image"]:
        return "no image is named"
    if not row["group"]:
        return "no group; give photographs that share source photographs one name, and any other a name of its own"
    if (row.get("tampered_colour") or "white") not in MASK_COLOURS:
        return f"tampered_colour is {row['tampered_colour']!r}; it must be one of {', '.join(MASK_COLOURS)}, or empty"
    label = row.get("label") or ""
    if label not in _LABELS:
        return f"label is {label!r}; it must be 1 (tampered), 0 (authentic), or empty"
    if _LABELS[label] is False and row.get("mask"):
        return "label is 0 (authentic), but a mask is named; leave one of them empty"
    if row.get("known") and not row.get("mask"):
        return "known is named, but no mask; known marks where a mask says something"
    return ""
