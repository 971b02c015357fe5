"""prolonging a lease touches no index; a job's messages have one"""

from __future__ import annotations

from jobs.sql.migrations.operations import create_index, drop_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    drop_index("ix_shards_leased", "shards")
    create_index("ix_shards_leased", "shards", ["job_id"], where="state = 'leased'")
    create_index("ix_webhook_deliveries_job_id", "webhook_deliveries", ["job_id"])
