"""`replay`: what another threshold would flag."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain.states import FINAL
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.services.replaying import ReplayRequest, ReplayView
from nclscreen.services.replaying import replay as replayed
from nclscreen.wiring import wire


def replay(
    job_id: JobArgument,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which an image is flagged; else the job's.")
    ] = None,
    min_area: Annotated[
        float, typer.Option(min=0, max=1, help="And of which this share or more looks tampered.")
    ] = 0.0,
    cutoff: Annotated[
        float, typer.Option(help="Probability from which a pixel looks tampered: 0.2, 0.25, ... 0.95.")
    ] = 0.5,
    as_json: Json = False,
) -> None:
    """Count what another rule would flag in a job. Nothing is scored and nothing is changed; the job may run."""
    view = replayed(wire(), ReplayRequest(job_id=job_id, threshold=threshold, min_area=min_area, cutoff=cutoff))
    if as_json:
        output.print_json(view.document)
        return
    for line in _lines(view):
        output.out.print(line, soft_wrap=True, markup=False)


def _lines(view: ReplayView) -> list[str]:
    counts, rule = view.counts, view.rule
    share = f" of {counts.scored:,} scored" if counts.scored else ""
    area = f" and an area of {rule.area:.2%} at {rule.cutoff:g}" if rule.area else ""
    lines = [
        f"flagged now   {counts.flagged:,}{share}, from score {view.job.threshold:.4f}",
        f"would flag    {counts.would_flag:,}{share}, from score {rule.score:.4f}{area}",
        f"              {counts.added:,} more, {counts.removed:,} fewer",
    ]
    if counts.unknown:
        lines.append(f"not known     {counts.unknown:,} whose areas were not kept")
    if counts.failed:
        lines.append(f"no score      {counts.failed:,}, which no rule flags")
    if view.job.state not in FINAL:
        lines.append(f"so far: the job is {view.job.state.value}")
    return lines
