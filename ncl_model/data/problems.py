"""What is wrong with the files of a data set, told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid
from ncl_model.shown_text import one_line

ProblemKind = Literal[
    "row",
    "missing_image",
    "missing_mask",
    "missing_regions",
    "missing_known",
    "unreadable_image",
    "unreadable_mask",
    "unreadable_regions",
    "unreadable_known",
    "mask_size",
    "mask_grey",
    "mask_empty",
    "unmasked",
    "regions_size",
    "known_size",
    "known_empty",
]

#: problems spelled out in one message; the others are counted
SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that keeps a sample from being used."""

    kind: ProblemKind
    #: the list and its line, or the file
    where: str
    #: what is wrong and what to do
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def tell(problems: Sequence[Problem], *, shown: int = SHOWN) -> str:
    """The first ``shown`` problems, one a line, and how many there are beyond."""
    lines = [f"  {one_line(str(problem))}" for problem in problems[:shown]]
    if len(problems) > shown:
        lines.append(f"  ... and {len(problems) - shown:,} more")
    return "\n".join(lines)


def refuse(problems: Sequence[Problem], remedy: str = "Mend these files, or take the lines out of the list.") -> None:
    """Raise one DatasetInvalid that tells all problems; nothing happens when there are none."""
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        raise DatasetInvalid(f"{count} with the data:\n{tell(problems)}\n{remedy}")


def missing_files(sample: Sample) -> list[Problem]:
    """Which files of a sample do not exist."""
    problems = []
    if not sample.image.is_file():
        problems.append(Problem(kind="missing_image", where=sample.where, message=f"no file {sample.image}"))
    if sample.mask is not None and not sample.mask.is_file():
        message = f"no mask {sample.mask}; a tampered photograph needs one, an authentic one has none in the list"
        problems.append(Problem(kind="missing_mask", where=sample.where, message=message))
    if sample.regions is not None and not sample.regions.is_file():
        problems.append(Problem(kind="missing_regions", where=sample.where, message=f"no file {sample.regions}"))
    if sample.known is not None and not sample.known.is_file():
        problems.append(Problem(kind="missing_known", where=sample.where, message=f"no file {sample.known}"))
    return problems
