"""A Parquet file of verdicts, given out while it is written."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from jobs.batches import batches
from jobs.exports.columns import COLUMNS, Cell

#: rows that are Python objects at once, and how many times that make a row group, which is in memory packed
_BATCH, _BATCHES = 500, 40


class _Outbox(io.RawIOBase):
    """A file of which only what was not taken yet is kept."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def parquet_file(rows: Iterable[dict[str, Cell]]) -> Iterator[bytes]:
    """Row group by row group; https://parquet.apache.org/docs/file-format/."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(column.name, types[column.kind]) for column in COLUMNS])
    outbox = _Outbox()
    with ParquetWriter(outbox, schema, compression="zstd") as writer:
        packed = (pa.RecordBatch.from_pylist(batch, schema=schema) for batch in batches(rows, _BATCH))
        for group in batches(packed, _BATCHES):
            writer.write_table(pa.Table.from_batches(group, schema=schema), row_group_size=_BATCH * _BATCHES)
            yield outbox.take()
    yield outbox.take()
