"""The options that say what is wanted of a job, written down once for all commands that submit."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from nclscreen.cli.policies import MaxFpr, Threshold
from nclscreen.services.submission_request import LARGEST_PRIORITY, LARGEST_SAMPLE, SubmissionRequest


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says about a submission, as it was typed."""

    threshold: Threshold = None
    max_fpr: MaxFpr = None
    suffix: Annotated[
        list[str] | None,
        typer.Option(help="Ending of the file names to take, any case; may be repeated. Else the usual image endings."),
    ] = None
    prefix: Annotated[
        str | None, typer.Option(help="Take only keys that begin with this; a key is what follows bucket or folder.")
    ] = None
    contains: Annotated[str | None, typer.Option(help="Take only keys that contain this text.")] = None
    modified_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not older than 2026-05-17, 2026-05-17T10:00Z, or 7d, 12h, 30m.")
    ] = None
    modified_before: Annotated[str | None, typer.Option(metavar="TIME", help="Not newer than this time.")] = None
    min_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Not smaller than this, such as 10KB.")] = None
    max_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Not larger than this, such as 50MB.")] = None
    storage_class: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Take only objects of this storage class of S3; may be repeated."),
    ] = None
    include_archived: Annotated[
        bool, typer.Option("--include-archived", help="Take archived objects, too (GLACIER, DEEP_ARCHIVE).")
    ] = False
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=LARGEST_SAMPLE, metavar="N", help="Of all that pass, N chosen evenly by hashes."),
    ] = None
    sample_seed: Annotated[int, typer.Option(metavar="S", help="Another seed, another sample.")] = 0
    name: Annotated[str | None, typer.Option(help="A name for the job, for people.")] = None
    tag: Annotated[list[str] | None, typer.Option(help="A word to find the job by; may be repeated.")] = None
    priority: Annotated[
        int,
        typer.Option(
            min=-LARGEST_PRIORITY, max=LARGEST_PRIORITY, help="Higher goes first; 0 is usual, -1 is below it."
        ),
    ] = 0
    token: Annotated[
        str | None,
        typer.Option(help="Your own word for this request: asked for again with it, no second job is made."),
    ] = None
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Wait for `nclscreen confirm` once it is known how much there is to do.")
    ] = False
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Score anew also images whose verdict by this model is known.")
    ] = False
    trust_etags: Annotated[
        bool,
        typer.Option("--trust-etags", help="Take verdicts over without reading, where ETag and size are the same."),
    ] = False
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="A list of local files may name files outside its own folder.")
    ] = False
    skip_bad_lines: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Go on without the lines of a list that name no image.")
    ] = False
    case_from: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Finds the claim, paper or listing in keys: 'claims/(?P<case>[^/]+)/'."),
    ] = None
    max_failures: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="RATIO", help="Fail the job when more than this share fails; else 0.5."),
    ] = None
    min_sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Images done before --max-failures counts; else 1000."),
    ] = None
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="http(s) address that hears of changes of the job's state.")
    ] = None
    completion_report: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Folder or s3://bucket/prefix: what came of each image."),
    ] = None

    def request(self, source: str) -> SubmissionRequest:
        """As the use case takes it."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        suffixes, classes, tags = (tuple(given.pop(name) or ()) for name in ("suffix", "storage_class", "tag"))
        return SubmissionRequest(source=source, suffixes=suffixes, storage_classes=classes, tags=tags, **given)


def takes_submission(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of `Asked`, before its own; it gets them as one object named `asked`."""
    own = inspect.signature(command, eval_str=True)
    hints = get_type_hints(Asked, include_extras=True)
    options = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name])
        for each in fields(Asked)
    ]
    names = {each.name for each in options}

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in names})
        command(asked=asked, **given)

    kept = [each for each in own.parameters.values() if each.name != "asked"]
    first = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in kept if each.name == "source"]
    rest = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in kept if each.name != "source"]
    parameters = [*first, *options, *rest]
    # typer reads both
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options
