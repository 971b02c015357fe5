"""the order in which jobs are listed"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"])
