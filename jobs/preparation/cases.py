"""Which case an image belongs to: the claim, the paper, the listing that its key names.

The pattern comes from whoever submits, so it is matched by RE2, whose time grows with the key and never explodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.domain import ImageRef
from jobs.errors import JobsError

#: characters of a case's name that are kept
LONGEST_CASE = 200
GROUP = "case"


class InvalidCasePattern(JobsError):
    """A pattern that names no cases."""

    def __init__(self, pattern: str, reason: str) -> None:
        self.pattern = pattern
        self.reason = reason
        super().__init__(f"the pattern {pattern!r} names no cases: {reason}; write such as claims/(?P<case>[^/]+)/")


class CasePattern:
    """Finds the case in keys."""

    def __init__(self, pattern: str) -> None:
        """`pattern`: RE2, found anywhere in the key; its group `case` is the name. Raises InvalidCasePattern."""
        import pyarrow as pa  # brings tens of megabytes along
        import pyarrow.compute as pc

        self._pattern = pattern
        try:
            named = pc.extract_regex(pa.array([""]), pattern).type
        except (pa.ArrowInvalid, UnicodeError) as error:
            raise InvalidCasePattern(pattern, str(error)) from None
        if [field.name for field in named] != [GROUP]:
            raise InvalidCasePattern(pattern, f"it takes one group, called {GROUP}")

    def apply(self, entries: Sequence[ImageRef]) -> list[ImageRef]:
        """The entries with their cases; one that has a case already, or whose key names none, stays as it is."""
        return [
            entry if entry.case or not name else replace(entry, case=name)
            for entry, name in zip(entries, self._names([entry.key for entry in entries]), strict=True)
        ]

    def _names(self, keys: Sequence[str]) -> list[str | None]:
        import pyarrow as pa
        import pyarrow.compute as pc

        readable = [key.encode("utf-8", "replace").decode() for key in keys]
        found = pc.extract_regex(pa.array(readable, pa.string()), self._pattern).to_pylist()
        return [None if each is None else case_name(each[GROUP]) for each in found]


def case_name(text: str | None) -> str | None:
    """A case's name as it is kept; None for an empty one."""
    return (text or "").strip()[:LONGEST_CASE] or None
