"""preparing, completion reports and webhooks move into the table for slow work

In one transaction, with nobody else at their tables: what the program of before changed after its work was copied would
be lost. From then on that program can work no more.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LEFT = {
    "jobs": (
        "preparation_fence",
        "preparation_expires_at",
        "report_attempt",
        "report_not_before",
        "report_fence",
        "report_expires_at",
    ),
    "webhook_deliveries": ("attempt", "not_before", "lease_expires_at"),
}


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("LOCK TABLE jobs, webhook_deliveries IN ACCESS EXCLUSIVE MODE")
    _copy()
    if op.get_context().dialect.name != "postgresql":  # where indexes go with their columns
        op.drop_index("ix_jobs_report_due", table_name="jobs")
        op.drop_index("ix_webhook_deliveries_waiting", table_name="webhook_deliveries")
    for table, columns in _LEFT.items():
        drops = [f"DROP COLUMN {column}" for column in columns]
        # at once where that can be said: whoever writes waits meanwhile. Plain SQL: a copy of the table, as Alembic
        # makes it for SQLite, would take its children along
        for drop in [", ".join(drops)] if op.get_context().dialect.name == "postgresql" else drops:
            op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE {table} {drop}")


def _copy() -> None:
    """What was under way is queued from when its lease would have ended: a holder of before is not overtaken."""
    op.execute(
        "INSERT INTO leased_work (kind, subject, job_id, state, priority, not_before, fence, error) "
        "SELECT 'preparation', id, id, 'queued', priority, coalesce(preparation_expires_at, 0), preparation_fence, "
        "preparation_error FROM jobs WHERE state = 'preparing' ORDER BY id"
    )
    op.execute(
        "INSERT INTO leased_work (kind, subject, job_id, state, attempt, not_before, fence, error) "
        "SELECT 'completion_report', id, id, 'queued', report_attempt, "
        "CASE WHEN coalesce(report_expires_at, 0) > report_not_before "
        "THEN report_expires_at ELSE report_not_before END, "
        "report_fence, report_error "
        "FROM jobs WHERE report_due_at IS NOT NULL ORDER BY report_due_at"
    )
    op.execute(
        # an attempt was counted when it began; one under way has not failed yet
        "INSERT INTO leased_work (kind, subject, job_id, state, attempt, not_before, fence, error) "
        "SELECT 'webhook', CAST(id AS TEXT), job_id, 'queued', "
        "CASE WHEN lease_expires_at IS NULL OR attempt = 0 THEN attempt ELSE attempt - 1 END, "
        "CASE WHEN coalesce(lease_expires_at, 0) > not_before THEN lease_expires_at ELSE not_before END, "
        "attempt, error "
        "FROM webhook_deliveries WHERE delivered_at IS NULL AND NOT given_up ORDER BY id"
    )
