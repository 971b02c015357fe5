"""what is unreviewed, and what is reviewed, in the order in which it is shown"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_UNREVIEWED = "flagged AND review IS NULL"


def upgrade() -> None:
    create_index("ix_verdicts_unreviewed_of_job", "verdicts", ["job_id", "score", "ordinal"], where=_UNREVIEWED)
    create_index("ix_verdicts_unreviewed", "verdicts", ["score", "job_id", "ordinal"], where=_UNREVIEWED)
    create_index(
        "ix_verdicts_reviewed", "verdicts", ["job_id", "review", "score", "ordinal"], where="review IS NOT NULL"
    )
