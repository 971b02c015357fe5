"""reviews say in SQL, too, whether they are second looks without having seen the first"""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

# as before, and what is new at its end: so PostgreSQL keeps who may read it
_REVIEWS = """
    SELECT r.job_id, r.ordinal, r.number, r.decision, r.reviewer, r.note, r.severity, r.undoes, r.container, r.key,
           r.sha256, r.score, r.flagged, r.model_fingerprint, {moment} AS created_at,
           NOT EXISTS (SELECT 1 FROM reviews AS l
                       WHERE l.job_id = r.job_id AND l.ordinal = r.ordinal AND l.number > r.number) AS holds,
           r.drawing_kind, r.drawing, r.blind
    FROM reviews AS r"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE OR REPLACE VIEW v_reviews AS" + _REVIEWS.format(moment="to_timestamp(r.created_at)"))
    else:
        op.execute("DROP VIEW v_reviews")
        op.execute("CREATE VIEW v_reviews AS" + _REVIEWS.format(moment="datetime(r.created_at, 'unixepoch')"))
