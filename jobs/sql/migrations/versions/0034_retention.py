"""since when the verdicts of an old job are gone, while the job stays"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("verdicts_removed_at", sa.Double(), nullable=True))
