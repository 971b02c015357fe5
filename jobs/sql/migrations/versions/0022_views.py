"""views for people who ask in SQL, with real timestamps"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_VIEWS = {
    "v_jobs": """
        SELECT id AS job_id, project, name, state, source, model_name AS model, model_fingerprint, threshold,
               total AS images, scored, reused, flagged, failed, ignored, priority, error,
               {created_at} AS created_at, {started_at} AS started_at, {finished_at} AS finished_at
        FROM jobs""",
    "v_verdicts": """
        SELECT v.job_id, v.ordinal, j.project, v.container, v.key, v.case_name AS case_name, v.score, v.flagged,
               j.threshold, v.tampered_area, v.review, v.signals, v.evidence, v.error_code, v.error_message, v.reused,
               v.width, v.height, v.size, v.sha256, v.map_uri, j.model_name AS model, j.model_fingerprint,
               {recorded_at} AS recorded_at
        FROM verdicts AS v JOIN jobs AS j ON j.id = v.job_id""",
    "v_flagged": """
        SELECT * FROM v_verdicts WHERE flagged""",
    "v_reviews": """
        SELECT r.job_id, r.ordinal, r.number, r.decision, r.reviewer, r.note, r.severity, r.undoes, r.container, r.key,
               r.sha256, r.score, r.flagged, r.model_fingerprint, {reviewed_at} AS created_at,
               NOT EXISTS (SELECT 1 FROM reviews AS l
                           WHERE l.job_id = r.job_id AND l.ordinal = r.ordinal AND l.number > r.number) AS holds
        FROM reviews AS r""",
}
_MOMENTS = {
    "created_at": "created_at",
    "started_at": "started_at",
    "finished_at": "finished_at",
    "recorded_at": "v.recorded_at",
    "reviewed_at": "r.created_at",
}


def upgrade() -> None:
    for name, select in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {select.format(**_moments())}")


def _moments() -> dict[str, str]:
    """Seconds since the epoch as the database's own kind of moment, in UTC."""
    form = "to_timestamp({})" if op.get_context().dialect.name == "postgresql" else "datetime({}, 'unixepoch')"
    return {name: form.format(column) for name, column in _MOMENTS.items()}
