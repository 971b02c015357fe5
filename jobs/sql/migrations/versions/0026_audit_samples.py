"""samples of jobs that people judge them by"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audits",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("strata", sa.JSON(), nullable=False),
        sa.Column("unscored", sa.BigInteger(), nullable=False),
        sa.Column("drawn_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_audits_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_audits")),
    )
    op.create_table(
        "audit_images",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("audit", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("stratum", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "audit"],
            ["audits.job_id", "audits.number"],
            name=op.f("fk_audit_images_job_id_audit"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "audit", "place", name=op.f("pk_audit_images")),
    )
