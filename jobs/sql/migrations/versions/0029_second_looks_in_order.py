"""the images that were, or are to be, looked at twice"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "ix_verdicts_second_look", "verdicts", ["job_id", "second_look", "ordinal"], where="second_look IS NOT NULL"
    )
