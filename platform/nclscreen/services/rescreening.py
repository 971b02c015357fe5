"""The images of a job once more, by the model that new jobs are pinned to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jobs.domain import Job, JobId, NewJob, RetryImages
from jobs.lifecycle.retries import retry_request
from nclscreen.catalog import InstalledModel
from nclscreen.services import checks
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.policies import FlagRule, flag_rule, heatmaps_from
from nclscreen.services.submission_request import LARGEST_SAMPLE
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class RescreenRequest:
    """Which images, and how they are to be judged."""

    #: the finished job
    job_id: str
    images: RetryImages = RetryImages.ALL
    #: score from which an image is flagged, in [0, 1]; None: as the job asked, in the words of the current model
    threshold: float | None = None
    #: score images anew whose verdict by the current model is known
    rescore: bool = False
    #: a registered version: its fingerprint, its beginning, or an alias; None: the one that new jobs get
    model: str | None = None
    #: of so many of the images, drawn at random; None: all of them
    sample: int | None = None
    #: of the new job; None: one that follows from the job's
    name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescreen:
    """What came of it."""

    #: the new job; None where there is no such image
    job_id: JobId | None
    earlier_id: JobId
    images: int
    #: for people
    notes: tuple[str, ...] = ()


def rescreen(wiring: Wiring, request: RescreenRequest) -> Rescreen:
    """Raises JobNotFound, RequestRefused for a job that is not over, InvalidRequest, the calibration's errors."""
    checks.within("threshold", request.threshold, 0, 1)
    if request.images is RetryImages.FAILED:
        raise InvalidRequest("images", "failed images are tried again with: nclscreen retry")
    checks.within("sample", request.sample, 1, LARGEST_SAMPLE)
    earlier, model = wiring.jobs.get(request.job_id), _model(wiring, request.model)
    new = _new_job(wiring, earlier, model, request)
    images = wiring.jobs.count_again(earlier.id, request.images)
    if not images:
        return Rescreen(job_id=None, earlier_id=earlier.id, images=0)
    notes = []
    if (note := wiring.versions.keep_installed()) is not None:
        notes.append(f"note: {note}")
    if model.fingerprint == earlier.model.fingerprint and not request.rescore:
        notes.append("note: this is the job's own model still; verdicts of files that have not changed are taken over")
    taken = images if request.sample is None else min(images, request.sample)
    return Rescreen(job_id=wiring.jobs.submit(new), earlier_id=earlier.id, images=taken, notes=tuple(notes))


def _new_job(wiring: Wiring, earlier: Job, model: InstalledModel, request: RescreenRequest) -> NewJob:
    rule = _rule(earlier, model, request.threshold)
    policy: dict[str, Any] | None = rule.policy_document
    new = retry_request(
        earlier, images=request.images, model=model.ref, name=request.name, threshold=rule.threshold, policy=policy
    )
    if request.sample is not None:
        new = replace(new, filters=replace(new.filters, sample=request.sample))
    near = heatmaps_from(model, rule.threshold, wiring.settings.near_misses)
    return replace(new, heatmaps_from=near, options=replace(new.options, rescore=request.rescore))


def _model(wiring: Wiring, said: str | None) -> InstalledModel:
    """Raises VersionNotFound, AmbiguousVersion, WeightsNotFound."""
    return wiring.current_model if said is None else wiring.model_of(wiring.registry.find(said).fingerprint)


def _rule(earlier: Job, model: InstalledModel, threshold: float | None) -> FlagRule:
    """A rate of false alarms is asked of the current model; a bare score means nothing to another model."""
    if threshold is None and earlier.policy:
        return flag_rule(model, None, earlier.policy["max_fpr"])
    if threshold is None and model.fingerprint == earlier.model.fingerprint:
        threshold = earlier.threshold
    return flag_rule(model, threshold, None)
