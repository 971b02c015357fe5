"""Verdicts as a file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import JobsError
from jobs.exports import ExportFormat, encoded
from jobs.verdicts import FoundVerdict, VerdictFilter
from ncl_model.writing import replacing
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring


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
    kind: ExportFormat
    #: called with the rows so far, after each
    progress: Callable[[int], None] = lambda rows: None
    rows: int = 0

    def __iter__(self) -> Iterator[bytes]:
        """Piece by piece; what is not read to its end is no whole file."""
        return encoded(self._counted(), self.kind)

    def write_to(self, path: Path) -> None:
        """The file appears whole or not at all. Raises ExportUnwritable."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial, partial.open("wb") as file:
                file.writelines(self)
        except OSError as error:
            raise ExportUnwritable(path, error.strerror or str(error)) from error

    def _counted(self) -> Iterator[FoundVerdict]:
        for found in self.wiring.verdicts.stream(self.wanted):
            yield found
            self.rows += 1
            self.progress(self.rows)


def export_format(field: str, said: str | None, path: Path | None) -> ExportFormat:
    """The format that was named, or that the ending of the file means. Raises InvalidRequest of `field`."""
    ending = said if said is not None else "" if path is None else path.suffix.removeprefix(".").lower()
    if ending not in set(ExportFormat):
        wrong = f"{ending!r} is none; write one of" if ending else "say which:"
        raise InvalidRequest(field, f"{wrong} {', '.join(ExportFormat)}")
    return ExportFormat(ending)
