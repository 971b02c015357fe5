"""Verdicts as a file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Decision, Verdict
from jobs.domain.drawings import DrawingKind
from jobs.errors import JobsError, ObjectNotFound
from jobs.exports import ExportFormat, MaskFormat, encoded, encoded_masks, masked_verdicts
from jobs.reviews.drawing_png import read_labels
from jobs.reviews.errors import DrawingNotFound
from jobs.verdicts import FoundVerdict, VerdictFilter
from ncl_model.writing import replacing
from nclscreen.services.errors import InvalidRequest
from nclscreen.stored_heatmaps import HeatmapMissing, heatmap_reader
from nclscreen.wiring import Wiring

#: any kind of file
AnyFormat = ExportFormat | MaskFormat
#: formats by the endings of files
_BY_ENDING: dict[str, AnyFormat] = {kind.value: kind for kind in ExportFormat} | {
    kind.ending: kind for kind in MaskFormat
}
_BY_NAME: dict[str, AnyFormat] = {kind.value: kind for kind in (*ExportFormat, *MaskFormat)}


class ExportUnwritable(JobsError):
    """The disk does not take an export."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot write {path}: {reason}")


@dataclass(slots=True)
class Export:
    """Verdicts that pass a filter, in its order, as the bytes of a file; read once, in flat memory."""

    wiring: Wiring
    wanted: VerdictFilter
    kind: AnyFormat
    #: probability from which a pixel is in a mask
    cutoff: float = 0.5
    #: called with the verdicts so far, after each
    progress: Callable[[int], None] = lambda rows: None
    rows: int = 0

    def __iter__(self) -> Iterator[bytes]:
        """Piece by piece; what is not read to its end is no whole file. Masks: raises StorageError."""
        if isinstance(self.kind, ExportFormat):
            return encoded(self._counted(), self.kind)
        masked = masked_verdicts(self._counted(), self._heatmap, self.cutoff, self._drawn)
        return encoded_masks(masked, self.kind)

    def write_to(self, path: Path) -> None:
        """The file appears whole or not at all. Raises ExportUnwritable."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial, partial.open("wb") as file:
                file.writelines(self)
        except OSError as error:
            raise ExportUnwritable(path, error.strerror or str(error)) from error

    def _heatmap(self, verdict: Verdict) -> NDArray[np.uint8] | None:
        try:
            return heatmap_reader(self.wiring.open_storage)(verdict)
        except (HeatmapMissing, ObjectNotFound):
            return None

    def _drawn(self, found: FoundVerdict) -> NDArray[np.uint8] | None:
        """The mask that holds; scribbles say too little."""
        if found.review is not Decision.CONFIRMED:
            return None
        try:
            drawing = self.wiring.drawings.of(found.ref)
        except DrawingNotFound:
            return None
        return read_labels(drawing.png) if drawing.kind is DrawingKind.MASK else None

    def _counted(self) -> Iterator[FoundVerdict]:
        for found in self.wiring.verdicts.stream(self.wanted):
            yield found
            self.rows += 1
            self.progress(self.rows)


def export_format(field: str, said: str | None, path: Path | None) -> AnyFormat:
    """The format that was named, or that the ending of the file means. Raises InvalidRequest of `field`."""
    if said is not None:
        known, kind = _BY_NAME, said
    else:
        known, kind = _BY_ENDING, "" if path is None else path.suffix.removeprefix(".").lower()
    if kind not in known:
        wrong = f"{kind!r} is none; write one of" if kind else "say which:"
        raise InvalidRequest(field, f"{wrong} {', '.join(_BY_NAME)}")
    return known[kind]
