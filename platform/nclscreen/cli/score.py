"""`score`: a few images at once, in this process, without database or cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from jobs.domain import ImageKey
from jobs.errors import ObjectNotFound, StorageError
from jobs.sql.rows import HALF
from jobs.storage import parse_source
from ncl_model.errors import ImageUnreadable
from nclscreen.cli import output
from nclscreen.cli.policies import MaxFpr, Threshold, asked_policy, policy_document
from nclscreen.wiring import Wiring, wire

if TYPE_CHECKING:
    from ncl_model.inference.predictor import Predictor


def score(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files, or s3://bucket/key.")],
    threshold: Threshold = None,
    max_fpr: MaxFpr = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Score single images here and now: no database, no cluster."""
    from ncl_model.inference.predictor import Predictor

    wiring = wire()
    policy = asked_policy(wiring, threshold, max_fpr)
    flag_from = wiring.threshold(policy.threshold if policy else threshold)
    predictor = Predictor.setup(wiring.weights, wiring.settings.precision)
    documents = [_score(wiring, predictor, name, flag_from) for name in images]
    if as_json:
        model = {"name": wiring.model.name, "fingerprint": wiring.model.fingerprint}
        threshold_asked = {"threshold": flag_from, "policy": policy_document(policy)}
        output.print_json({"model": model, **threshold_asked, "images": documents})
    else:
        output.out.print(_table(documents))
    if any(document["error_code"] for document in documents):
        raise typer.Exit(output.FAILED)


def _score(wiring: Wiring, predictor: Predictor, name: str, flag_from: float) -> dict[str, Any]:
    try:
        image = predictor.decode(_read(wiring, name), max_pixels=wiring.settings.max_pixels)
    except (ImageUnreadable, StorageError) as error:
        message = error.reason if isinstance(error, StorageError) else str(error)
        failure = {
            "score": None,
            "flagged": False,
            "false_positive_rate": None,
            "tampered_area": None,
            "width": None,
            "height": None,
        }
        return {"image": name, **failure, "error_code": str(error.code), "error_message": message}
    found = predictor.localize([image])[0]
    return {
        "image": name,
        "score": round(found.score, 4),
        "flagged": found.score >= flag_from,
        "false_positive_rate": wiring.calibration and round(wiring.calibration.rate(found.score), 4),
        "tampered_area": round(found.tampered_areas[HALF], 4),
        "width": found.width,
        "height": found.height,
        "error_code": None,
        "error_message": None,
    }


def _read(wiring: Wiring, name: str) -> bytes:
    parsed = parse_source(name)
    key = parsed.single_key or ImageKey(parsed.prefix)
    if not key:
        is_folder = Path(name).is_dir()
        raise ObjectNotFound(name, f"it is a folder: nclscreen screen {name}" if is_folder else "no such file")
    return wiring.open_storage(parsed.container).read(key, max_bytes=wiring.settings.max_image_bytes)


def _table(documents: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("score", "area"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("image", overflow="fold")
    for document in documents:
        image = output.visible(document["image"])
        if document["error_code"]:
            table.add_row("-", "-", f"{document['error_code']}: {document['error_message']}", image)
            continue
        verdict = "flagged" if document["flagged"] else "not flagged"
        table.add_row(f"{document['score']:.3f}", f"{document['tampered_area']:.1%}", verdict, image)
    return table
