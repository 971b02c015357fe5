"""what a submitter asks for, what preparing finds, webhooks, reused verdicts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_REPORT_DUE = "report_due_at IS NOT NULL"
_CLAIMABLE = "state IN ('ready', 'running')"
_KNOWN = "score IS NOT NULL AND NOT reused"
_WAITING = "delivered_at IS NULL AND NOT given_up"


def upgrade() -> None:
    for column in (
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("confirm", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("rescore", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("failure_ratio", sa.Double(), server_default="0.5", nullable=False),
        sa.Column("failure_sample", sa.BigInteger(), server_default="1000", nullable=False),
        sa.Column("webhook", sa.Text(), nullable=True),
        sa.Column("report_prefix", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.String(length=32), nullable=True),
        sa.Column("skip_bad_lines", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=True),
        sa.Column("token", sa.String(length=128), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.Column("seen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unsized", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bad_lines", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("preparation_cursor", sa.JSON(), nullable=True),
        sa.Column("claimed_at", sa.Double(), server_default="0", nullable=False),
        sa.Column("report_due_at", sa.Double(), nullable=True),
        sa.Column("report_attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("report_not_before", sa.Double(), server_default="0", nullable=False),
        sa.Column("report_fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("report_expires_at", sa.Double(), nullable=True),
        sa.Column("report_error", sa.Text(), nullable=True),
        sa.Column("report_uri", sa.Text(), nullable=True),
        sa.Column("retry_codes", sa.JSON(), nullable=True),
    ):
        op.add_column("jobs", column)
    op.create_index("ix_jobs_token", "jobs", ["token"], unique=True)
    op.create_index(
        "ix_jobs_turn",
        "jobs",
        ["model_fingerprint", sa.text("priority DESC"), "claimed_at", "id"],
        unique=False,
        sqlite_where=sa.text(_CLAIMABLE),
        postgresql_where=sa.text(_CLAIMABLE),
    )
    op.create_index(
        "ix_jobs_report_due",
        "jobs",
        ["report_not_before"],
        unique=False,
        sqlite_where=sa.text(_REPORT_DUE),
        postgresql_where=sa.text(_REPORT_DUE),
    )
    # nobody will ask for the shards that were left when their job ended: out of the index of waiting ones
    op.execute(
        "UPDATE shards SET state = 'cancelled' WHERE state = 'queued' "
        "AND job_id IN (SELECT id FROM jobs WHERE state IN ('cancelled', 'failed'))"
    )
    op.add_column("verdicts", sa.Column("reused", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_verdicts_known",
        "verdicts",
        ["size", "key_hash"],
        unique=False,
        sqlite_where=sa.text(_KNOWN),
        postgresql_where=sa.text(_KNOWN),
    )

    op.create_table(
        "manifest_problems",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_manifest_problems_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "line", name=op.f("pk_manifest_problems")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.Double(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("delivered_at", sa.Double(), nullable=True),
        sa.Column("given_up", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_deliveries_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        "ix_webhook_deliveries_waiting",
        "webhook_deliveries",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
