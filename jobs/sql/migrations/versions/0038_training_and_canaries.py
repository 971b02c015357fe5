"""how a run was trained, and what a model version says of canary pictures"""

from __future__ import annotations

import sqlalchemy as sa

from jobs.sql.migrations.operations import add_columns

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_columns("retraining_runs", sa.Column("training", sa.JSON(none_as_null=True), nullable=True))
    add_columns("model_versions", sa.Column("canary", sa.JSON(none_as_null=True), nullable=True))
