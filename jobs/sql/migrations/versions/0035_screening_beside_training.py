"""how many shards a dispatcher keeps to while a model is trained"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dispatchers", sa.Column("shards_at_once", sa.BigInteger(), nullable=True))
    op.add_column("dispatchers", sa.Column("shards_usual", sa.BigInteger(), nullable=True))
