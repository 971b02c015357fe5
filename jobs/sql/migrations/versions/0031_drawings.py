"""what reviewers drew where they say that a photograph was tampered with"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drawings",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "sha256", name=op.f("pk_drawings")),
    )
    op.add_column("reviews", sa.Column("drawing_kind", sa.Text(), nullable=True))
    op.add_column("reviews", sa.Column("drawing", sa.Text(), nullable=True))
