"""Projects, keys, sessions, the audit log: see `jobs.access`. Times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Identity, Index, Table, Text

from jobs.sql.metadata import RowId, metadata

# who owns jobs and keys; the default one has no row until something is set for it
projects = Table(
    "projects",
    metadata,
    Column("name", Text, primary_key=True),
    # URIs that sources and reports of its jobs begin with; null = any bucket
    Column("places", JSON(none_as_null=True)),
    Column("created_at", Double, nullable=False),
)

# a key itself is told once and kept nowhere: 256 random bits need no slow hash
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    Index("ix_api_keys_project", "project"),
)

# browsers that came with a key
sessions = Table(
    "sessions",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_sessions_expires_at", "expires_at"),
)

# append-only; no foreign key: what was done stays known when everything else is gone
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", RowId, Identity(), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("project", Text),
    # the name of the key, of the proxy's user, or of the command line
    Column("actor", Text, nullable=False),
    Column("key_id", Text),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("status", BigInteger, nullable=False),
)
