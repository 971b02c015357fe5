"""Submitting a job: everything is checked before anything is stored, so that a mistake shows at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from jobs.domain import FailureThreshold, JobId, JobOptions, NewJob
from jobs.errors import InvalidSource
from jobs.preparation.cases import CasePattern, InvalidCasePattern
from jobs.preparation.corpus import Corpus
from jobs.storage import parse_source
from jobs.webhooks.urls import InvalidWebhook, check_webhook_url
from nclscreen.services import checks
from nclscreen.services.destinations import check_receiver, check_report_place
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.filters import make_filters
from nclscreen.services.policies import flag_rule, heatmaps_from
from nclscreen.services.submission_request import LARGEST_PRIORITY, SubmissionRequest
from nclscreen.wiring import Wiring

_LONGEST_NAME = 200
_LONGEST_TAG = 64
_LONGEST_TOKEN = 128
_MOST_TAGS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What came of a request."""

    job_id: JobId
    #: whether the token was known: this job was submitted before, and nothing was added
    again: bool
    #: what the submitter should know, in sentences
    notes: tuple[str, ...]


def submit(wiring: Wiring, request: SubmissionRequest) -> Submission:
    """Check everything and enqueue the job.

    Raises InvalidRequest, InvalidSource, StorageError, InvalidWebhook, TokenReused, and the errors of the model's
    calibration.
    """
    filters, relative = make_filters(request)
    places = None if wiring.project is None else wiring.project.places
    options = replace(make_options(request), places=places)
    token = checks.short_text("token", request.token, _LONGEST_TOKEN)
    notes = [*check_receiver(wiring, options.webhook), *check_report_place(wiring, options.report)]
    model = wiring.current_model
    rule = flag_rule(model, request.threshold, request.max_fpr)
    if rule.policy is not None:
        notes.append(str(rule.policy))
    if (note := wiring.versions.keep_installed()) is not None:
        notes.append(f"note: {note}")
    source = absolute(request.source)
    Corpus(source, filters, wiring.open_storage, places=places).check()
    submitted = wiring.jobs.request(
        NewJob(
            source=source,
            filters=filters,
            model=model.ref,
            threshold=rule.threshold,
            policy=rule.policy_document,
            heatmaps_from=heatmaps_from(model, rule.threshold, wiring.settings.near_misses),
            options=options,
            token=token,
            relative=relative,
        )
    )
    if submitted.again:
        notes.append(f"the token is known: this is job {submitted.job_id}, submitted before; nothing was added")
    return Submission(job_id=submitted.job_id, again=submitted.again, notes=tuple(notes))


def make_options(request: SubmissionRequest) -> JobOptions:
    """What the job is asked beside its images. Raises InvalidRequest, InvalidSource."""
    tags = tuple(dict.fromkeys(checks.short_text("tags", tag, _LONGEST_TAG) or "" for tag in request.tags))
    if len(tags) > _MOST_TAGS:
        raise InvalidRequest("tags", f"{len(tags)} are given, {_MOST_TAGS} are the most")
    checks.within("priority", request.priority, -LARGEST_PRIORITY, LARGEST_PRIORITY)
    return JobOptions(
        name=checks.short_text("name", request.name, _LONGEST_NAME),
        tags=tags,
        priority=request.priority,
        confirm=request.confirm,
        rescore=request.rescore,
        trust_etags=request.trust_etags,
        allow_outside=request.allow_outside,
        skip_bad_lines=request.skip_bad_lines,
        case_from=_case_pattern(request.case_from),
        failure_threshold=_failure_threshold(request),
        webhook=_webhook(request.webhook),
        report=_report(request.completion_report),
    )


def absolute(source: str) -> str:
    """Local paths as the dispatcher must see them, wherever it runs. Raises InvalidSource."""
    parse_source(source)  # as it was typed: in an absolute path, `s3:/bucket` is a folder
    return source if "://" in source or not source.strip() else os.path.abspath(os.path.expanduser(source))


def _failure_threshold(request: SubmissionRequest) -> FailureThreshold:
    checks.within("max_failures", request.max_failures, 0, 1)
    checks.within("min_sample", request.min_sample, 1, float("inf"))
    usual = FailureThreshold()
    return FailureThreshold(
        ratio=usual.ratio if request.max_failures is None else request.max_failures,
        sample=request.min_sample or usual.sample,
    )


def _case_pattern(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    try:
        CasePattern(checks.text("case_from", pattern))
    except InvalidCasePattern as error:
        raise InvalidRequest("case_from", str(error)) from None
    return pattern


def _webhook(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        check_webhook_url(checks.text("webhook", url))
    except InvalidWebhook as error:
        reason = f"{error.url!r} is no address; write https://host/path ({error.reason})"
        raise InvalidRequest("webhook", reason) from None
    return url


def _report(uri: str | None) -> str | None:
    if uri is None:
        return None
    uri = absolute(checks.text("completion_report", uri))
    if parse_source(uri).single_key is not None:
        raise InvalidSource(uri, "it is a file; a completion report takes a folder or s3://bucket/prefix")
    return uri
