"""which trace jobs and slow work belong to"""

from __future__ import annotations

import sqlalchemy as sa

from jobs.sql.migrations.operations import add_columns

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("jobs", "leased_work"):
        add_columns(table, sa.Column("traceparent", sa.Text(), nullable=True))
