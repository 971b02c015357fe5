"""What all tables share: one collection, the names of their indexes and keys, and what the databases differ in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, MetaData, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives automatic row ids to INTEGER alone
RowId = BigInteger().with_variant(Integer(), "sqlite")


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index on the rows alone of which the condition is true."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


#: for tables whose rows are held under leases. PostgreSQL writes a row anew without touching an index where its page
#: has room for it: beside the row there is what it was before the claim, until nobody looks at that any more
ROOM_FOR_HEARTBEATS = {"fillfactor": 40}
