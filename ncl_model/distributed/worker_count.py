"""How many workers share a run: a number, or from so many on up to so many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from ncl_model.errors import ConfigInvalid

_WRITTEN = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """At least and at most so many; equal where the number does not change."""

    least: int
    most: int

    @classmethod
    def of(cls, written: str) -> Self:
        """ "4" or "1-4"; "0" for no Ray at all. Raises ConfigInvalid."""
        found = _WRITTEN.fullmatch(written.strip())
        least = int(found[1]) if found else 0
        most = int(found[2] or least) if found else 0
        if found is None or most < least or (found[2] is not None and least < 1):
            raise ConfigInvalid("workers", f"{written!r} is no number of workers, as 4, and no range of them, as 1-4")
        return cls(least, most)

    @property
    def changes(self) -> bool:
        """Whether a run may come to have fewer and go on."""
        return self.least < self.most

    def __str__(self) -> str:
        return f"{self.least}-{self.most}" if self.changes else str(self.most)

    def check_shares(self, batch_size: int, parts: int) -> None:
        """Each of so many parts of a batch must be shared evenly by the most; of fewer, some may have no share.

        Raises ConfigInvalid.
        """
        if batch_size % (self.most * parts):
            raise ConfigInvalid(
                "batch_size",
                f"{batch_size} cannot be shared by {self.most} workers; take a multiple of {self.most * parts}",
            )


def most_that_share(batch_size: int, parts: int, present: int) -> int:
    """Of the workers that are there, how many share each of so many parts of a batch evenly; at least 1."""
    return next((count for count in range(present, 1, -1) if batch_size % (count * parts) == 0), 1)
