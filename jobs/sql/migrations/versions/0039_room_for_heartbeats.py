"""room beside shards in the pages of PostgreSQL, so that prolonging a lease touches no index"""

from __future__ import annotations

from jobs.sql.migrations.operations import leave_room

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    leave_room("shards", fillfactor=40)
