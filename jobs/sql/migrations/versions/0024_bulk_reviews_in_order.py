"""the reviews that were given together"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_reviews_bulk", "reviews", ["bulk", "job_id", "ordinal"], where="bulk IS NOT NULL")
