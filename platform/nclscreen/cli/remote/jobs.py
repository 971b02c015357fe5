"""Jobs on the other side of an API: submitted, looked at, steered."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from nclscreen.cli import output
from nclscreen.cli.job_list import print_jobs
from nclscreen.cli.policies import MaxFpr, Threshold
from nclscreen.client import Client, Job
from nclscreen.evidence_text import untestable_in_words

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def submit(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="As the other machine sees it: s3://bucket/prefix, a folder, a list.")],
    threshold: Threshold = None,
    max_fpr: MaxFpr = None,
    name: Annotated[str | None, typer.Option(help="A name for the job, for people.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find the job by; may be repeated.")] = None,
    case_from: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Finds the claim, paper or listing in keys.")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Wait for `confirm` once it is known how much there is to do.")
    ] = False,
    token: Annotated[str | None, typer.Option(help="Asked for again with it, no second job is made.")] = None,
    as_json: Json = False,
) -> None:
    """Submit a screening job and print its id."""
    options: dict[str, Any] = {
        "threshold": threshold, "max_fpr": max_fpr, "name": name, "case_from": case_from, "confirm": confirm or None
    }  # fmt: skip
    given = {field: value for field, value in options.items() if value is not None}
    made = client_of(context).submit(source, token=token, tags=list(tag or ()), **given)
    if as_json:
        output.print_json(made.document)
    else:
        print(made.id)  # noqa: T201 - the bare id, for scripts


def jobs(
    context: typer.Context,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    found = [each.document for each in islice(client_of(context).jobs(tag=tag, state=state), limit)]
    if as_json:
        output.print_json({"jobs": found})
    else:
        print_jobs(found, asked=tag is not None or state is not None, begin="nclscreen --api URL submit SOURCE")


def job(context: typer.Context, job_id: JobArgument, as_json: Json = False) -> None:
    """Show one job."""
    _print(client_of(context).job(job_id), as_json=as_json)


def watch(context: typer.Context, job_id: JobArgument, as_json: Json = False) -> None:
    """Follow a job to its end; exit code 1 when it did not complete."""
    with output.err.status(f"job {job_id}") as status:

        def told(job: Job) -> None:
            done = sum(job.counts[name] for name in ("scored", "reused", "failed"))
            status.update(f"job {job.id} {job.state}: {done:,} of {job.counts['total']:,} images")

        found = client_of(context).wait(job_id, told=told)
    _print(found, as_json=as_json)
    if found.state != "completed":
        raise typer.Exit(output.FAILED)


def confirm(context: typer.Context, job_id: JobArgument, as_json: Json = False) -> None:
    """Let a prepared job go that waits for a person."""
    _print(client_of(context).tell(job_id, "confirm"), as_json=as_json)


def pause(context: typer.Context, job_id: JobArgument, as_json: Json = False) -> None:
    """Give out no more of a job; what is under way is finished."""
    _print(client_of(context).tell(job_id, "pause"), as_json=as_json)


def resume(context: typer.Context, job_id: JobArgument, as_json: Json = False) -> None:
    """Go on with a paused job."""
    _print(client_of(context).tell(job_id, "resume"), as_json=as_json)


def cancel(context: typer.Context, job_id: JobArgument, as_json: Json = False) -> None:
    """Stop a job; verdicts recorded so far are kept."""
    _print(client_of(context).tell(job_id, "cancel"), as_json=as_json)


def reflag(
    context: typer.Context,
    job_id: JobArgument,
    threshold: Threshold = None,
    max_fpr: MaxFpr = None,
    as_json: Json = False,
) -> None:
    """Have a job that is over flag from another score on; a dispatcher rewrites its verdicts."""
    _print(client_of(context).reflag(job_id, threshold=threshold, max_fpr=max_fpr), as_json=as_json)


def client_of(context: typer.Context) -> Client:
    """What `build_remote_app` connected."""
    client: Client = context.obj
    return client


def _row(job: Job) -> tuple[str, ...]:
    counts = job.counts
    done = counts["scored"] + counts["reused"] + counts["failed"]
    images = f"{done:,} of {counts['total']:,}"
    return (job.id, job.name or "", job.state, images, f"{counts['flagged']:,}", f"{counts['failed']:,}", job.source)


def _print(job: Job, *, as_json: bool) -> None:
    if as_json:
        output.print_json(job.document)
        return
    names = ("job", "name", "state", "images", "flagged", "failed", "source")
    for name, value in [*zip(names, _row(job), strict=True), ("threshold", f"{job.threshold:.4f}")]:
        if value:
            output.out.print(f"{name:<10} {output.visible(value)}", soft_wrap=True, markup=False)
    missing = untestable_in_words(job.document.get("untestable") or {})
    rest = (
        ("not tested", f"for {missing}" if missing else None),
        ("waits", job.document.get("waits_for")),
        ("error", job.error),
    )
    for name, said in rest:
        if said:
            output.out.print(f"{name:<10} {output.visible(said)}", soft_wrap=True, markup=False)
