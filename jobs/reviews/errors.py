"""What cannot be reviewed as it was asked for."""

from __future__ import annotations

from jobs.errors import JobsError


class AuditNotFound(JobsError):
    """No sample of the job was drawn, or none with this number."""

    def __init__(self, job_id: str, number: int | None) -> None:
        self.job_id = job_id
        self.number = number
        super().__init__(
            f"job {job_id} has no audit{'' if number is None else f' {number}'}: draw a sample of it first"
        )


class DrawingNotFound(JobsError):
    """Nobody has drawn on the image, or what was drawn does not hold any more."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"{ref} has no drawing that holds")


class InvalidDrawing(JobsError):
    """It cannot be kept as a drawing of this photograph."""

    def __init__(self, reason: str) -> None:
        #: in words that fit behind a field's name
        self.reason = reason
        super().__init__(f"the drawing cannot be used: {reason}")


class NothingToAudit(JobsError):
    """No image of the job has a score."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"nothing to audit: no image of job {job_id} has a score")


class NoSecondLook(JobsError):
    """The image is not to be looked at once more by this person."""

    def __init__(self, ref: str, reviewer: str) -> None:
        self.ref = ref
        self.reviewer = reviewer
        super().__init__(
            f"{ref} gets no second look by {reviewer!r}: it takes a decision of somebody else, and no second one so far"
        )
