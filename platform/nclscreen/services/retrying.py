"""The failed images of a finished job once more, as a job of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.domain import Job, JobId, NewJob
from jobs.errors import ErrorCode
from jobs.lifecycle.retries import retry_request
from nclscreen.services import checks
from nclscreen.services.policies import policy_document
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryRequest:
    """Which images, and how they are to be judged."""

    #: the finished job
    job_id: str
    #: only images with these codes; none: all that failed
    codes: Sequence[ErrorCode] = ()
    #: score with the model of this installation, not the job's
    current_model: bool = False
    #: score from which an image is flagged, in [0, 1]; None: the job's
    threshold: float | None = None
    #: of the new job; None: one that follows from the job's
    name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """What came of it."""

    #: the new job; None where no image failed so
    job_id: JobId | None
    earlier_id: JobId
    images: int


def retry(wiring: Wiring, request: RetryRequest) -> Retry:
    """Raises JobNotFound, RequestRefused for a job that is not over, InvalidRequest, the calibration's errors."""
    checks.within("threshold", request.threshold, 0, 1)
    earlier = wiring.jobs.get(request.job_id)
    codes = tuple(request.codes)
    new = _new_job(wiring, earlier, codes, request)
    images = wiring.jobs.count_again(earlier.id, codes=codes)
    job_id = wiring.jobs.submit(new) if images else None
    return Retry(job_id=job_id, earlier_id=earlier.id, images=images)


def _new_job(wiring: Wiring, earlier: Job, codes: tuple[ErrorCode, ...], request: RetryRequest) -> NewJob:
    model = wiring.current_model.ref if request.current_model else None
    if model is None or request.threshold is not None or not earlier.policy:
        return retry_request(earlier, codes, model=model, name=request.name, threshold=request.threshold)
    # a threshold that stands for a false-positive rate belongs to its model
    policy = wiring.current_model.policy(earlier.policy["max_fpr"])
    return retry_request(
        earlier,
        codes,
        model=model,
        name=request.name,
        threshold=policy.threshold,
        policy=policy_document(policy),
    )
