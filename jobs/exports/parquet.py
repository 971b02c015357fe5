"""A Parquet file of verdicts, given out while it is written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from jobs.batches import batches
from jobs.exports.columns import COLUMNS, Cell
from jobs.exports.outbox import Outbox

if TYPE_CHECKING:
    import pyarrow as pa

#: rows that are Python objects at once, and how many times that make a row group, which is in memory packed
_BATCH, _BATCHES = 500, 10


def parquet_file(rows: Iterable[dict[str, Cell]]) -> Iterator[bytes]:
    """Row group by row group; https://parquet.apache.org/docs/file-format/."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(column.name, types[column.kind]) for column in COLUMNS])
    outbox = Outbox()
    with ParquetWriter(outbox, schema, compression="zstd") as writer:
        packed = (_packed(batch, schema) for batch in batches(rows, _BATCH))
        for group in batches(packed, _BATCHES):
            writer.write_table(pa.concat_tables(group), row_group_size=_BATCH * _BATCHES)
            yield outbox.take()
    yield outbox.take()


def _packed(batch: Iterable[dict[str, Cell]], schema: pa.Schema) -> pa.Table:
    """By way of JSON: Arrow's own conversion of Python objects would load pandas, 50 MB, to see that none is one."""
    from pyarrow.json import ParseOptions, ReadOptions, read_json

    lines = "\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in batch).encode()
    return read_json(
        io.BytesIO(lines),
        ReadOptions(use_threads=False, block_size=len(lines) + 1),  # a row must not be longer than a block
        ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
