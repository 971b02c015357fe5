"""What a use case refuses."""

from __future__ import annotations

from jobs.errors import JobsError


class InvalidRequest(JobsError):
    """A field of a request has a value that cannot be meant. Every face names the field in its own way."""

    def __init__(self, field: str, reason: str) -> None:
        #: the attribute of the request
        self.field = field
        #: what is wrong with it, in words that fit behind the field's name
        self.reason = reason
        super().__init__(f"{field}: {reason}")
