"""Verdicts on the other side of an API: listed, looked at, decided on, taken along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from jobs.domain import ModelRef
from nclscreen.cli import output
from nclscreen.cli.drawing_files import Mask, Scribbles, named_drawing
from nclscreen.cli.ranking import mixed_scores, tell_nothing
from nclscreen.cli.remote.jobs import Json, client_of
from nclscreen.cli.verdict_options import Model
from nclscreen.client import ExportKind, Verdict
from nclscreen.quantities import area_in_words, score_in_words
from nclscreen.services.exporting import export_format

RefArgument = Annotated[str, typer.Argument(metavar="JOB/NUMBER", help="The image, as `flagged` prints it.")]
OfJob = Annotated[str | None, typer.Option("--job", metavar="ID", help="Only of this job.")]
MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="Only scores from this on.")]
Prefix = Annotated[str | None, typer.Option(help="Only keys that begin with this.")]
Review = Annotated[str | None, typer.Option(help="Only these: unreviewed, confirmed, rejected, unsure.")]

#: where scores of several models meet, whose each is stands here
_MODEL_COLUMN = 4


def flagged(
    context: typer.Context,
    job_id: OfJob = None,
    min_score: MinScore = None,
    prefix: Prefix = None,
    model: Model = None,
    case: Annotated[str | None, typer.Option(help="Only of this case.")] = None,
    review: Review = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 50,
    as_json: Json = False,
) -> None:
    """List flagged images, the highest score first."""
    wanted = {"job": job_id, "min_score": min_score, "prefix": prefix, "model": model, "case": case, "review": review}
    found = islice(client_of(context).verdicts(flagged=True, **wanted), limit or None)
    models: set[ModelRef] = set()
    if as_json:
        output.print_json_list("images", (each.document for each in _noting(found, models)))
        _tell_mixed(models, job_id, model)
        return
    rows = list(_noting(found, models))
    if not rows:
        tell_nothing(asked=any(value is not None for value in wanted.values()))
        return
    headings, several = ["score", "area", "review", "image", "where"], _tell_mixed(models, job_id, model)
    if several:
        headings.insert(_MODEL_COLUMN, "model")
    output.print_table(headings, [_row(each, with_model=several) for each in rows])


def show(
    context: typer.Context,
    ref: RefArgument,
    out: Annotated[Path, typer.Option(help="The picture to write.")],
    kind: Annotated[Literal["overlay", "photograph", "heatmap"], typer.Option(help="What it shows.")] = "overlay",
    side: Annotated[int, typer.Option(min=64, max=4096, help="Longest side in pixels.")] = 1024,
) -> None:
    """Write a picture of one image: the heatmap over the photograph, or one of both."""
    data = client_of(context).picture(ref, kind, side=side)
    out.write_bytes(data)
    output.out.print(str(out), soft_wrap=True, markup=False)


def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write, whole or not at all.")],
    job_id: OfJob = None,
    kind: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl, parquet, coco or masks; else by FILE's ending.")
    ] = None,
    only_flagged: Annotated[bool | None, typer.Option("--flagged/--not-flagged", help="Only these.")] = None,
    min_score: MinScore = None,
    prefix: Prefix = None,
    review: Review = None,
) -> None:
    """Write verdicts into a file."""
    chosen = export_format("format", kind, out).value
    assert chosen in get_args(ExportKind)  # noqa: S101 - both sides know the same
    chosen_flagged = True if job_id is None and only_flagged is None else only_flagged
    wanted: dict[str, Any] = {"job": job_id, "flagged": chosen_flagged, "min_score": min_score, "prefix": prefix}
    size = client_of(context).export(out, kind=chosen, review=review, **wanted)  # type: ignore[arg-type]
    output.out.print(f"{size:,} bytes in {out}", soft_wrap=True, markup=False)


def review(
    context: typer.Context,
    ref: RefArgument,
    decision: Annotated[Literal["confirmed", "rejected", "unsure"], typer.Argument(help="What it is.")],
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
    severity: Annotated[int | None, typer.Option(min=1, max=5, help="How bad, from 1 to 5.")] = None,
    mask: Mask = None,
    scribbles: Scribbles = None,
    as_json: Json = False,
) -> None:
    """Say what an image is; nothing is overwritten."""
    drawing = named_drawing(mask, scribbles)
    drawn: dict[str, Any] = {} if drawing is None else {drawing.kind.value: drawing.png}
    found = client_of(context).review(ref, decision, note=note, severity=severity, **drawn)
    if as_json:
        output.print_json(found.document)
    else:
        output.out.print(f"{ref} is {decision}, said {output.visible(found.reviewer)}", soft_wrap=True, markup=False)


def score(
    context: typer.Context,
    photographs: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files of this machine.")],
    as_json: Json = False,
) -> None:
    """Have single photographs scored at once by the hosted model. Their bytes are sent."""
    documents = []
    for path in photographs:
        if not path.is_file():
            raise typer.BadParameter(f"{path} is no file")
        documents.append({"image": str(path), **client_of(context).score(path.read_bytes())})
    if as_json:
        output.print_json({"images": documents})
        return
    rows = [
        (score_in_words(each["score"]), "flagged" if each["flagged"] else "not flagged", each["image"])
        for each in documents
    ]
    output.print_table(("score", "verdict", "image"), rows)


def _noting(found: Iterable[Verdict], models: set[ModelRef]) -> Iterator[Verdict]:
    """The same as they come; whose scores they are is in `models` behind the last one."""
    for each in found:
        models.add(_model_of(each))
        yield each


def _tell_mixed(models: set[ModelRef], job_id: str | None, model: str | None) -> bool:
    """Whether scores of several models meet, where nobody asked for one; then it is said."""
    several = job_id is None and model is None and len(models) > 1
    if several:
        known = sorted(models, key=lambda each: (each.name, each.fingerprint))
        output.err.print(f"note: {mixed_scores(known)}", markup=False)
    return several


def _model_of(verdict: Verdict) -> ModelRef:
    return ModelRef(name=verdict.document["model"], fingerprint=verdict.document["model_fingerprint"])


def _row(verdict: Verdict, *, with_model: bool) -> list[str]:
    score = "-" if verdict.score is None else score_in_words(verdict.score)
    area = "-" if verdict.tampered_area is None else area_in_words(verdict.tampered_area)
    row = [score, area, verdict.review or "", verdict.ref, f"{verdict.container}/{verdict.key}"]
    if with_model:
        row.insert(_MODEL_COLUMN, _model_of(verdict).name)
    return row
