"""`export`: verdicts as a file for other programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from jobs.errors import ErrorCode
from jobs.verdicts import VerdictFilter
from nclscreen.cli import output
from nclscreen.cli.masked_stream import unmasked
from nclscreen.cli.query import Json
from nclscreen.cli.verdict_options import (
    Container,
    MaxScore,
    MinArea,
    MinScore,
    Model,
    OfCase,
    Prefix,
    Reviewed,
    Signal,
)
from nclscreen.quantities import counted
from nclscreen.services.exporting import Export, export_format
from nclscreen.wiring import wire

_LINE_EVERY_S = 5.0
_STANDARD_OUTPUT = Path("-")


def export(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The file to write; - for standard output, with --format.")
    ],
    job_id: Annotated[
        str | None, typer.Option("--job", metavar="ID", help="Of this job; else flagged images of all jobs.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="csv, jsonl, parquet, coco or masks; else by FILE's ending."),
    ] = None,
    flagged: Annotated[
        bool | None, typer.Option("--flagged/--not-flagged", help="Only images that were flagged, or were not.")
    ] = None,
    min_score: MinScore = None,
    max_score: MaxScore = None,
    min_area: MinArea = None,
    prefix: Prefix = None,
    container: Container = None,
    failed: Annotated[
        bool | None, typer.Option("--failed/--scored", help="Only images without a score, or with one.")
    ] = None,
    code: Annotated[ErrorCode | None, typer.Option(help="Only images with this error code.")] = None,
    review: Reviewed = None,
    case: OfCase = None,
    signal: Signal = None,
    model: Model = None,
    cutoff: Annotated[
        float, typer.Option(min=0.01, max=1, help="coco and masks: probability from which a pixel looks tampered.")
    ] = 0.5,
    as_json: Json = False,
) -> None:
    """Write verdicts into a file: CSV for spreadsheets, JSON Lines, or Parquet for DuckDB and pandas.

    Where images look tampered goes into COCO (.json) for annotation tools, or into a TAR of PNG masks (.tar).
    A job's come in the order of its manifest, flagged ones highest score first. A job may run meanwhile. FILE appears
    whole or not at all.
    """
    aside = out == _STANDARD_OUTPUT
    if aside and as_json:
        raise typer.BadParameter("the file itself goes to standard output; leave out --json, or give --out a FILE")
    chosen = export_format("format", kind, None if aside else out)
    wiring = wire()
    job = None if job_id is None else wiring.jobs.get(job_id).id
    wanted = VerdictFilter(
        job_id=job,
        flagged=True if job is None and flagged is None else flagged,
        min_score=min_score,
        max_score=max_score,
        min_area=min_area,
        prefix=prefix,
        container=container.rstrip("/") if container else None,
        failed=failed,
        error_code=code,
        model=model,
        review=review,
        case=case,
        signal=signal,
    )
    written = Export(wiring, wanted, chosen, cutoff, _told_now_and_then())
    if aside:
        stream = unmasked(sys.stdout).buffer
        stream.writelines(written)
        stream.flush()
        return
    written.write_to(out)
    if as_json:
        output.print_json({"file": str(out), "format": chosen.value, "verdicts": written.rows})
    else:
        output.out.print(f"{counted(written.rows, 'verdict')} in {out}", markup=False, soft_wrap=True)


def _told_now_and_then() -> Callable[[int], None]:
    """A line on standard error every few seconds."""
    due = time.monotonic() + _LINE_EVERY_S

    def told(rows: int) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + _LINE_EVERY_S
            output.err.print(f"{counted(rows, 'verdict')} so far")

    return told
