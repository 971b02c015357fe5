"""how a run was trained: recipe, code version, curves"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("retraining_runs", sa.Column("training", sa.JSON(none_as_null=True), nullable=True))
