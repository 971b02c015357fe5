"""jobs say whether ETags are trusted, whether lists may leave their folder, and that what was frozen was read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("trust_etags", "allow_outside", "reads_frozen"):
        op.add_column("jobs", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
