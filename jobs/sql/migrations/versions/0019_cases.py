"""which case an image belongs to, and how its job tells"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("case_from", sa.Text(), nullable=True))
    op.add_column("verdicts", sa.Column("case_name", sa.Text(), nullable=True))
    op.add_column("verdicts", sa.Column("signals", sa.Text(), nullable=True))
