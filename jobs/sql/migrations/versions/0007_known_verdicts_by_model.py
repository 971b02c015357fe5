"""the index of known verdicts leads with the model

Before, the verdicts of other models of the same size were passed over one by one.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

from jobs.sql.migrations.operations import create_index, drop_index, fill, is_written_out

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KNOWN = "score IS NOT NULL AND NOT reused"


def upgrade() -> None:
    if not is_written_out():
        models = op.get_bind().execute(sa.text("SELECT id, model_fingerprint FROM jobs ORDER BY id")).all()
        for job_id, fingerprint in models:
            # as `jobs.sql.rows.model_key` had it when this was written
            key = int.from_bytes(hashlib.sha256(fingerprint.encode()).digest()[:8], "big", signed=True)
            fill("verdicts", job_id, {"model_key": key}, where=_KNOWN)
    create_index("ix_verdicts_known_by_model", "verdicts", ["model_key", "size", "key_hash"], where=_KNOWN)
    drop_index("ix_verdicts_known", "verdicts")
