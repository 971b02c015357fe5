"""which case an image belongs to, and how its job tells"""

from __future__ import annotations

import sqlalchemy as sa

from jobs.sql.migrations.operations import add_columns

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_columns("jobs", sa.Column("case_from", sa.Text(), nullable=True))
    add_columns(
        "verdicts", sa.Column("case_name", sa.Text(), nullable=True), sa.Column("signals", sa.Text(), nullable=True)
    )
