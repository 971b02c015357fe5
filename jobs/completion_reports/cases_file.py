"""The cases of a job in its completion report: one row for each claim, paper or listing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5

from jobs.spreadsheet import safe_cell
from jobs.verdicts.cases import Case

COLUMNS = ("Case", "Score", "Images", "Flagged", "Failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class CasesFile:
    """`cases.csv`, finished."""

    rows: int
    #: cases with a flagged image
    flagged: int
    data: bytes

    @property
    def checksum(self) -> str:
        return md5(self.data, usedforsecurity=False).hexdigest()


def cases_file(cases: Iterable[Case]) -> CasesFile:
    """What the verdicts alone say, so that it is the same whenever it is written. A case scores as its worst image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = flagged = 0
    for case in cases:
        score = "" if case.score is None else repr(case.score)
        writer.writerow([safe_cell(case.name), score, case.images, case.flagged, case.failed])
        rows += 1
        flagged += case.flagged > 0
    return CasesFile(rows=rows, flagged=flagged, data=text.getvalue().encode())
