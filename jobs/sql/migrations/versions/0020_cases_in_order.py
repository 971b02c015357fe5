"""the images of a case; images with signals"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_verdicts_case", "verdicts", ["job_id", "case_name", "ordinal"], where="case_name IS NOT NULL")
    create_index("ix_verdicts_signals", "verdicts", ["job_id", "ordinal"], where="signals IS NOT NULL")
