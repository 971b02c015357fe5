"""Images that wait for a person, and the one he looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.domain import Job
from nclscreen.pages.shown_verdict import ShownVerdict

#: images behind the one that is looked at which are fetched, and kept from others, before they are asked for
AHEAD = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueEntry:
    """An image of the queue."""

    item: ShownVerdict
    address: str
    #: of the image behind it; where there is none, of the gallery
    following: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewQueue:
    """A stretch of a job's images in the order of their filters."""

    job: Job
    items: Sequence[ShownVerdict]
    #: who else looks at which of them, by ordinal
    held: Mapping[int, str]
    #: ordinal of the image that was asked for; None: the first
    at: int | None
    #: address of this stretch, of the one behind it, and of the same images as a gallery
    here: str
    behind: str | None
    gallery: str

    @property
    def place(self) -> int:
        """Of the image that is looked at."""
        ordinals = [item.found.verdict.ordinal for item in self.items]
        return ordinals.index(self.at) if self.at in ordinals else 0

    @property
    def current(self) -> ShownVerdict | None:
        return self.items[self.place] if self.items else None

    @property
    def entries(self) -> list[QueueEntry]:
        """The images with their addresses, each with the one of the next image."""
        addresses = [address_at(self.here, item.found.verdict.ordinal) for item in self.items]
        following = [*addresses[1:], self.behind or self.gallery]
        return [
            QueueEntry(item=item, address=address, following=next_address)
            for item, address, next_address in zip(self.items, addresses, following, strict=True)
        ]


def address_at(here: str, ordinal: int) -> str:
    """The same stretch, looking at this image."""
    return f"{here}{'&' if '?' in here else '?'}at={ordinal}"
