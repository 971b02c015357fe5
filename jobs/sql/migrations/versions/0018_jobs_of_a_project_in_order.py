"""jobs of one project, and its keys, in the order in which they are listed"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_jobs_project_created_at_id", "jobs", ["project", "created_at", "id"])
    create_index("ix_api_keys_project", "api_keys", ["project"])
    create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
