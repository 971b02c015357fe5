"""Pages of lists, the same for everything that is listed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

#: rows of a page, at most
MOST = 1000


class Strict(BaseModel):
    """Parameters or a body of which nothing may be misspelt."""

    model_config = ConfigDict(extra="forbid")


class Paged(Strict):
    """What every list takes."""

    limit: int = Field(100, ge=1, le=MOST, description="rows of a page")
    cursor: str | None = Field(None, description="`next` of the page before, with the same filters")


class PageDocument(BaseModel):
    """One page."""

    data: list[dict[str, Any]]
    has_more: bool
    #: the cursor of the page behind this one
    next: str | None

    @classmethod
    def of(cls, data: list[dict[str, Any]], next_cursor: str | None) -> PageDocument:
        return cls(data=data, has_more=next_cursor is not None, next=next_cursor)
