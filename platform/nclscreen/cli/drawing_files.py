"""Drawings as files on the command line: the same options wherever a review is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.domain.drawings import DrawingKind
from nclscreen.services.drawings import NewDrawing

Mask = Annotated[
    Path | None,
    typer.Option(metavar="PNG", help="With confirmed: 8-bit grey, of the photograph's shape; 255 tampered, 0 not."),
]
Scribbles = Annotated[
    Path | None, typer.Option(metavar="PNG", help="Or only some pixels: 255 tampered, 128 not, 0 unknown.")
]


def named_drawing(mask: Path | None, scribbles: Path | None) -> NewDrawing | None:
    """What is in the file that was named. Raises BadParameter for one that cannot be read, and for two."""
    if mask is not None and scribbles is not None:
        raise typer.BadParameter("give --mask or --scribbles, not both")
    kind, path = (DrawingKind.MASK, mask) if mask is not None else (DrawingKind.SCRIBBLES, scribbles)
    if path is None:
        return None
    try:
        return NewDrawing(kind=kind, png=path.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror or error}", param_hint=f"--{kind.value}") from error
