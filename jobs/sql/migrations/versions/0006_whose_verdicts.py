"""which model a verdict is by, in eight bytes: for the index of known verdicts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("model_key", sa.BigInteger(), nullable=True))
