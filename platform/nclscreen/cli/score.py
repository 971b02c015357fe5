"""`score`: a few images at once, in this process, without database or cluster."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from nclscreen.cli import output
from nclscreen.cli.policies import MaxFpr, Threshold
from nclscreen.evidence_text import cell, evidence_of, fired, untested
from nclscreen.services.policies import flag_rule
from nclscreen.services.scoring import ImageScore, score_images
from nclscreen.wiring import wire


def score(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files, or s3://bucket/key.")],
    threshold: Threshold = None,
    max_fpr: MaxFpr = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Score single images here and now: no database, no cluster."""
    wiring = wire()
    rule = flag_rule(wiring.model, threshold, max_fpr)
    if rule.policy is not None:
        output.err.print(str(rule.policy), markup=False)
    found = list(score_images(wiring, images, rule))
    if as_json:
        ref = wiring.model.ref
        asked = {"threshold": rule.threshold, "policy": rule.policy_document}
        documents = [each.document for each in found]
        output.print_json({"model": {"name": ref.name, "fingerprint": ref.fingerprint}, **asked, "images": documents})
    else:
        output.print_columns(_table(found, rule.threshold))
        for each in found:
            _advise(each)
    if any(each.error_code for each in found):
        raise typer.Exit(output.FAILED)


def _table(found: Sequence[ImageScore], threshold: float) -> Table:
    with_evidence = any(each.evidence is not None for each in found)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("score", "area"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    if with_evidence:
        table.add_column("evidence")
    table.add_column("image", overflow="fold")
    for each in found:
        image = output.visible(each.image)
        if each.error_code:
            row = ["-", "-", f"{each.error_code}: {each.error_message}"]
        else:
            verdict = "flagged" if each.flagged else "not flagged"
            row = [f"{each.score:.3f}", f"{each.tampered_area:.1%}", verdict]
        table.add_row(*row, *([_evidence(each, threshold)] if with_evidence else []), image)
    return table


def _evidence(found: ImageScore, threshold: float) -> Text:
    """What fired, and what could not be tested: a low score then says less."""
    evidence = evidence_of(found.evidence)
    kinds = cell(fired(evidence, threshold, flagged=found.flagged)) or "-"
    missing = "; ".join(untested(evidence))
    return Text(f"{kinds} ({missing})" if missing else kinds)


def _advise(found: ImageScore) -> None:
    if found.error_code and "://" not in found.image and Path(found.image).is_dir():
        output.err.print(
            "note: all photographs of a folder: nclscreen screen", output.visible(shlex.quote(found.image))
        )
