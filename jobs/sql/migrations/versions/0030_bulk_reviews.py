"""which reviews were given together"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jobs.sql.migrations.operations import create_index

revision = "0030"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("bulk", sa.Text(), nullable=True))
    create_index("ix_reviews_bulk", "reviews", ["bulk", "job_id", "ordinal"], where="bulk IS NOT NULL")
