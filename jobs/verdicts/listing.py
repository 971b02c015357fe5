"""A list of verdicts as it is read: chunk by chunk, in transactions that stay short however slow the reader is."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from jobs.domain.pages import decode_cursor, encode_cursor
from jobs.sql.database import reading
from jobs.verdicts.filters import VerdictFilter
from jobs.verdicts.rows import FoundVerdict, found_from_row
from jobs.verdicts.statements import page_statement, place_kinds, place_of

#: rows of one transaction; what is in memory at once
_CHUNK = 1000


class Listing:
    """Verdicts that pass a filter, in its order; read once."""

    def __init__(self, engine: Engine, wanted: VerdictFilter, limit: int | None, cursor: str | None) -> None:
        """`limit`: at most so many, None for all. Raises InvalidCursor."""
        self._engine = engine
        self._wanted = wanted
        self._left = limit
        self._after = None if cursor is None else decode_cursor(cursor, wanted.digest, place_kinds(wanted))
        #: where the rest begins, once the limit is reached and there is a rest
        self.next_cursor: str | None = None

    def __iter__(self) -> Iterator[FoundVerdict]:
        while self._left is None or self._left > 0:
            asked = _CHUNK if self._left is None else min(_CHUNK, self._left)
            found = self._read(asked + 1)  # one more, to know whether there is a rest
            yield from found[:asked]
            if len(found) <= asked:
                return
            self._after = place_of(self._wanted, found[asked - 1])
            if self._left is not None:
                self._left -= asked
        if self._after is not None:
            self.next_cursor = encode_cursor(self._after, self._wanted.digest)

    def _read(self, limit: int) -> list[FoundVerdict]:
        with reading(self._engine) as connection:
            return [found_from_row(row) for row in connection.execute(page_statement(self._wanted, self._after, limit))]
