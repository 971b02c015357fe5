"""A Parquet file of verdicts, given out while it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobs.batches import batches
from jobs.exports.columns import COLUMNS, Cell
from jobs.exports.outbox import Outbox

#: rows that are Python objects at once, and how many times that make a row group, which is in memory packed
_BATCH, _BATCHES = 500, 40


def parquet_file(rows: Iterable[dict[str, Cell]]) -> Iterator[bytes]:
    """Row group by row group; https://parquet.apache.org/docs/file-format/."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(column.name, types[column.kind]) for column in COLUMNS])
    outbox = Outbox()
    with ParquetWriter(outbox, schema, compression="zstd") as writer:
        packed = (pa.RecordBatch.from_pylist(batch, schema=schema) for batch in batches(rows, _BATCH))
        for group in batches(packed, _BATCHES):
            writer.write_table(pa.Table.from_batches(group, schema=schema), row_group_size=_BATCH * _BATCHES)
            yield outbox.take()
    yield outbox.take()
