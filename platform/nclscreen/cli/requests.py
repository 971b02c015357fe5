"""From what was typed to what is submitted: filters, options, threshold, each checked before anything is stored."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import typer

from jobs.domain import IMAGE_SUFFIXES, FailureThreshold, Filters, JobOptions, NewJob
from jobs.errors import ContainerNotFound, InvalidSource, StorageError
from jobs.lifecycle.submissions import Submitted
from jobs.preparation.corpus import Corpus
from jobs.storage import parse_source
from jobs.storage.uris import folder_path
from jobs.stored_text import is_storable
from jobs.webhooks.urls import InvalidWebhook, check_webhook_url
from nclscreen.cli import output
from nclscreen.cli.folders import may_write, nearest
from nclscreen.cli.policies import asked_policy, policy_document
from nclscreen.cli.quantities import moment, size_in_bytes
from nclscreen.cli.submission_options import Asked
from nclscreen.wiring import Wiring

_LONGEST_NAME = 200
_LONGEST_TAG = 64
_LONGEST_TOKEN = 128
_MOST_TAGS = 20


def submit_job(wiring: Wiring, source: str, asked: Asked) -> Submitted:
    """Check everything, so that a typing mistake shows at once, and enqueue; tells when the token was known.

    Raises BadParameter, InvalidSource, StorageError, InvalidWebhook, TokenReused, and the errors of the model's
    calibration.
    """
    filters, relative = make_filters(asked)
    options = make_options(asked)
    _check_receiver(wiring, options.webhook)
    _check_report(wiring, options.report)
    policy = asked_policy(wiring, asked.threshold, asked.max_fpr)
    source = absolute(source)
    Corpus(source, filters, wiring.open_storage).check()
    new = NewJob(
        source=source,
        filters=filters,
        model=wiring.model,
        threshold=policy.threshold if policy else wiring.threshold(asked.threshold),
        policy=policy_document(policy),
        options=options,
        token=_short(asked.token, "--token", _LONGEST_TOKEN),
        relative=relative,
    )
    submitted = wiring.jobs.request(new)
    if submitted.again:
        output.err.print(f"the token is known: this is job {submitted.job_id}, submitted before; nothing was added")
    return submitted


def make_filters(asked: Asked, now: float | None = None) -> tuple[Filters, dict[str, str]]:
    """Filters from the command line, and those of them that are relative to `now`, as they were typed.

    `.jpg`, `jpg` and `*.jpg` mean the same; `*` is every name. Raises BadParameter.
    """
    now = time.time() if now is None else now
    relative: dict[str, str] = {}
    times: dict[str, float | None] = {"modified_after": None, "modified_before": None}
    for field in times:
        text = getattr(asked, field)
        if text is not None:
            times[field], is_relative = _parsed(moment, _option(field), text, now)
            if is_relative:
                relative[field] = text
    sizes = {field: _size(getattr(asked, field), _option(field)) for field in ("min_size", "max_size")}
    _check_order(times["modified_after"], times["modified_before"], "--modified-after is later than --modified-before")
    _check_order(sizes["min_size"], sizes["max_size"], "--min-size is larger than --max-size")
    if asked.sample is None and asked.sample_seed != 0:
        raise typer.BadParameter("--sample-seed needs --sample")
    filters = Filters(
        suffixes=_suffixes(asked.suffix),
        prefix=asked.prefix and _text(asked.prefix, "--prefix"),
        contains=asked.contains and _text(asked.contains, "--contains"),
        modified_after=times["modified_after"],
        modified_before=times["modified_before"],
        min_bytes=sizes["min_size"],
        max_bytes=sizes["max_size"],
        sample=asked.sample,
        sample_seed=asked.sample_seed,
    )
    return filters, relative


def make_options(asked: Asked) -> JobOptions:
    """What the job is asked beside its images. Raises BadParameter, InvalidSource."""
    tags = tuple(dict.fromkeys(_short(tag, "--tag", _LONGEST_TAG) or "" for tag in asked.tag or ()))
    if len(tags) > _MOST_TAGS:
        raise typer.BadParameter(f"{len(tags)} tags, {_MOST_TAGS} are the most")
    usual = FailureThreshold()
    return JobOptions(
        name=_short(asked.name, "--name", _LONGEST_NAME),
        tags=tags,
        priority=asked.priority,
        confirm=asked.confirm,
        rescore=asked.rescore,
        skip_bad_lines=asked.skip_bad_lines,
        failure_threshold=FailureThreshold(
            ratio=usual.ratio if asked.max_failures is None else asked.max_failures,
            sample=asked.min_sample or usual.sample,
        ),
        webhook=_webhook(asked.webhook),
        report=_report(asked.completion_report),
    )


def absolute(source: str) -> str:
    """Local paths as the dispatcher must see them, wherever it runs. Raises InvalidSource."""
    parse_source(source)  # as it was typed: in an absolute path, `s3:/bucket` is a folder
    return source if "://" in source or not source.strip() else os.path.abspath(os.path.expanduser(source))


def _webhook(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        check_webhook_url(_text(url, "--webhook"))
    except InvalidWebhook as error:
        raise typer.BadParameter(
            f"--webhook {error.url!r} is no address; write https://host/path ({error.reason})"
        ) from None
    return url


def _check_receiver(wiring: Wiring, url: str | None) -> None:
    """What this installation says to a webhook. Raises InvalidWebhook for a host that is not listed."""
    if url is None:
        return
    check_webhook_url(url, wiring.settings.webhook_host_names)
    if wiring.settings.webhook_key is None:
        output.err.print("note: NCLSCREEN_WEBHOOK_SECRET is not set here; where the dispatcher runs, it has to be")


def _report(uri: str | None) -> str | None:
    if uri is None:
        return None
    uri = absolute(_text(uri, "--completion-report"))
    if parse_source(uri).single_key is not None:
        raise InvalidSource(uri, "it is a file; --completion-report takes a folder or s3://bucket/prefix")
    return uri


def _suffixes(asked: list[str] | None) -> tuple[str, ...]:
    """Endings as the filters take them: none for every name."""
    if not asked:
        return IMAGE_SUFFIXES
    if "*" in asked:
        return ()
    endings = [_text(suffix, "--suffix").strip().lower().lstrip("*").lstrip(".") for suffix in asked]
    if "" in endings:
        raise typer.BadParameter(
            f"--suffix {asked[endings.index('')]!r} is no ending; write .jpg, or '*' for every name"
        )
    return tuple(f".{ending}" for ending in endings)


def _check_report(wiring: Wiring, uri: str | None) -> None:
    """Whether a completion report can go there. Raises ContainerNotFound for a bucket that is not there."""
    if uri is None:
        return
    parsed = parse_source(uri)
    if not parsed.container.startswith("s3:"):
        there = nearest(Path(os.fsdecode(folder_path(parsed.container))))
        if not may_write(there):
            output.err.print(f"note: you may not write into {there}; who runs the dispatcher must", markup=False)
        return
    try:
        wiring.open_storage(parsed.container).check(parsed.prefix)
    except ContainerNotFound:
        raise
    except StorageError:
        return  # who may write there need not be allowed to look


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _size(text: str | None, option: str) -> int | None:
    return None if text is None else int(_parsed(size_in_bytes, option, text))


def _parsed(parse: Any, option: str, *values: Any) -> Any:
    try:
        return parse(*values)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def _check_order(low: float | None, high: float | None, words: str) -> None:
    if low is not None and high is not None and low > high:
        raise typer.BadParameter(f"{words}: no image passes both")


def _short(text: str | None, option: str, limit: int) -> str | None:
    if text is None:
        return None
    if not text.strip() or len(_text(text, option)) > limit:
        raise typer.BadParameter(f"{option} takes 1 to {limit} characters")
    return text


def _text(text: str, option: str) -> str:
    if not is_storable(text):
        raise typer.BadParameter(f"{option}: {text!r} is not text")
    return text
