"""Views for people who ask in SQL: on both databases, with real moments, and for a role that reads nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable
from support.drawings import box_mask, png_of

from jobs.domain import Decision, JobId, NewReview, VerdictRef
from jobs.domain.drawings import DrawingKind
from jobs.reviews import ReviewStore
from jobs.reviews.drawing_png import read_drawing
from jobs.sql.database import reading, writing
from jobs.verdicts import VerdictStore

MASK = read_drawing(DrawingKind.MASK, png_of(box_mask(64, 48)), (640, 480))


@pytest.fixture
def job(bench: Bench) -> JobId:
    images = [entry("a.jpg", case="c1"), entry("b.jpg"), entry("broken.jpg")]
    job_id = ready_job(bench.engine, images)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [scored(0, images[0], 0.9), scored(1, images[1], 0.1), unreadable(2, images[2])])
    found = VerdictStore(bench.engine).at(VerdictRef(job_id=job_id, ordinal=0))
    store = ReviewStore(bench.engine)
    store.add(found, NewReview(decision=Decision.UNSURE, reviewer="ann"))
    store.add(found, NewReview(decision=Decision.CONFIRMED, reviewer="bob", drawing=MASK, blind=True))
    store.add(found, NewReview(decision=Decision.REJECTED, reviewer="bob", note="a scan"))
    return job_id


def rows(bench: Bench, question: str) -> list[Any]:
    with reading(bench.engine) as connection:
        return list(connection.execute(text(question)))


def test_the_views_say_what_is_there(bench: Bench, job: JobId) -> None:
    (found,) = rows(bench, "SELECT * FROM v_jobs")
    assert (found.job_id, found.project, found.images, found.flagged, found.failed) == (job, "default", 3, 1, 1)
    verdicts = rows(bench, "SELECT * FROM v_verdicts ORDER BY ordinal")
    assert [(each.key, each.score, each.review, each.case_name, each.error_code) for each in verdicts] == [
        ("a.jpg", 0.9, "rejected", "c1", None),
        ("b.jpg", 0.1, None, None, None),
        ("broken.jpg", None, None, None, "corrupt"),
    ]
    assert [each.key for each in rows(bench, "SELECT key FROM v_flagged")] == ["a.jpg"]
    reviews = rows(bench, "SELECT decision, reviewer, holds, blind FROM v_reviews ORDER BY number")
    assert [(each.decision, each.reviewer, bool(each.holds), bool(each.blind)) for each in reviews] == [
        ("unsure", "ann", False, False),
        ("confirmed", "bob", False, True),
        ("rejected", "bob", True, False),
    ]
    drawn = rows(bench, "SELECT drawing_kind, drawing FROM v_reviews WHERE drawing IS NOT NULL")
    assert [(each.drawing_kind, each.drawing) for each in drawn] == [("mask", MASK.sha256)]


def test_moments_are_moments(bench: Bench, job: JobId) -> None:
    for question in (
        "SELECT created_at AS at FROM v_jobs",
        "SELECT recorded_at AS at FROM v_verdicts",
        "SELECT created_at AS at FROM v_reviews",
    ):
        found = rows(bench, question)[0].at
        moment = found if isinstance(found, datetime) else datetime.fromisoformat(found).replace(tzinfo=UTC)
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5), question


@pytest.mark.postgres
def test_a_role_reads_the_views_and_nothing_else(postgres_engine: Any) -> None:
    views = "v_jobs, v_verdicts, v_flagged, v_reviews"
    with writing(postgres_engine) as connection:
        connection.execute(text("CREATE ROLE desk_reader"))
        connection.execute(text(f"GRANT SELECT ON {views} TO desk_reader"))
    try:
        with reading(postgres_engine) as connection:
            connection.execute(text("SET ROLE desk_reader"))
            for view in views.split(", "):
                assert connection.execute(text(f"SELECT count(*) FROM {view}")).scalar_one() >= 0
            connection.rollback()
        for table in ("jobs", "api_keys", "sessions", "audit_log", "reviews"):
            with reading(postgres_engine) as connection:
                connection.execute(text("SET ROLE desk_reader"))
                with pytest.raises(ProgrammingError, match="permission denied"):
                    connection.execute(text(f"SELECT * FROM {table}"))
                connection.rollback()
    finally:
        with writing(postgres_engine) as connection:
            connection.execute(text("DROP OWNED BY desk_reader"))
            connection.execute(text("DROP ROLE desk_reader"))
