"""a table for slow work under leases, and one of those who work on the database"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_QUEUED = "state = 'queued'"
_LEASED = "state = 'leased'"


def upgrade() -> None:
    op.create_table(
        "leased_work",
        sa.Column("id", _ROW_ID, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("vanished", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("not_before", sa.Double(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_leased_work_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leased_work")),
    )
    op.create_index("ix_leased_work_kind_subject", "leased_work", ["kind", "subject"], unique=True)
    op.create_index("ix_leased_work_job_id", "leased_work", ["job_id"])
    op.create_index(
        "ix_leased_work_queued",
        "leased_work",
        ["kind", sa.text("priority DESC"), "not_before", "id"],
        sqlite_where=sa.text(_QUEUED),
        postgresql_where=sa.text(_QUEUED),
    )
    op.create_index(
        "ix_leased_work_leased",
        "leased_work",
        ["kind"],
        sqlite_where=sa.text(_LEASED),
        postgresql_where=sa.text(_LEASED),
    )
    op.create_table(
        "dispatchers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("lacks", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dispatchers")),
    )
