"""attempts that failed and workers that vanished are counted apart"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shards", sa.Column("vanished", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("shards", sa.Column("started", sa.Boolean(), server_default=sa.false(), nullable=False))
    # until now claims were counted, whatever became of them: two of them may have been the shard's own fault
    op.execute("UPDATE shards SET attempt = 2 WHERE state IN ('queued', 'leased') AND attempt > 2")
