"""What may go wrong when the API is asked."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """The API refused, and says why."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        """`problem`: RFC 9457."""
        self.status = status
        #: stable, such as `job-not-found`
        self.kind = str(problem.get("type", "")).rpartition(":")[2]
        self.detail = str(problem.get("detail", ""))
        #: of the request, where one is at fault
        self.field: str | None = problem.get("field")
        super().__init__(f"{self.status} {self.kind}: {self.detail}")


class ApiUnreachable(Exception):
    """Nobody answers at this address."""
