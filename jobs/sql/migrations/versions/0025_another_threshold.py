"""another threshold for a job that is over, and whose heatmaps are kept below it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("heatmaps_from", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("reflag_to", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("reflag_policy", sa.JSON(none_as_null=True), nullable=True))
