"""From which score on an image is flagged: `--threshold` as a number, or `--max-fpr` as a promise."""

from __future__ import annotations

from typing import Annotated

import typer

Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Score from which an image is flagged; else as the model suggests.")
]
MaxFpr = Annotated[
    float | None,
    typer.Option(
        "--max-fpr",
        min=0,
        max=1,
        metavar="RATE",
        help="Instead of --threshold: at most this share of false alarms on authentic photographs, such as 0.01.",
    ),
]
