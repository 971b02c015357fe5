"""second looks: which images two people decide on who do not know of each other"""

from __future__ import annotations

import sqlalchemy as sa

from jobs.sql.migrations.operations import add_columns

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_columns("jobs", sa.Column("second_look", sa.Double(), server_default="0", nullable=False))
    add_columns("reviews", sa.Column("blind", sa.Boolean(), server_default=sa.false(), nullable=False))
    add_columns("verdicts", sa.Column("second_look", sa.Text(), nullable=True))
