"""From which score on an image is flagged: `--threshold` as a number, or `--max-fpr` as a promise."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nclscreen.cli import output
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from ncl_model.inference.calibration import Policy

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


def check_one(threshold: float | None, max_fpr: float | None) -> None:
    """Raise BadParameter when both are given."""
    if threshold is not None and max_fpr is not None:
        raise typer.BadParameter("give --threshold or --max-fpr, not both")


def asked_policy(wiring: Wiring, threshold: float | None, max_fpr: float | None) -> Policy | None:
    """The policy that `--max-fpr` means for this model, told on standard error; None where it is not given.

    Raises BadParameter when both are given, and the calibration's errors.
    """
    check_one(threshold, max_fpr)
    if max_fpr is None:
        return None
    policy = wiring.policy(max_fpr)
    output.err.print(str(policy), markup=False)
    return policy


def policy_document(policy: Policy | None) -> dict[str, Any] | None:
    """As JSON types."""
    return None if policy is None else dataclasses.asdict(policy)
