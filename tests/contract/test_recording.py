"""Verdicts into SQL, many at a time: whatever is in their texts comes back, and errors are those of SQLAlchemy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from support.builders import CONTAINER, entries, entry, ready_job, scored, unreadable
from support.made_evidence import evidence

from jobs.domain import JobId
from jobs.errors import ErrorCode
from jobs.shards import recording
from jobs.shards.recording import insert_verdicts
from jobs.sql.database import epoch_now, reading, writing
from jobs.sql.errors import DATABASE_AWAY
from jobs.sql.rows import database_clock, verdict_from_row
from jobs.sql.tables import jobs, verdicts

#: what a line-based copy could take for its own
AWKWARD = [
    "\\N",
    "\\.",
    "a\tb\nc\rd\\e",
    "",
    "'; DROP TABLE verdicts; --",
    "写真 \U0001f4f7",
    "%s %(key)s {}",
    '"quoted",',
]

#: packed, they hold every byte that means something to a line: tab, line ends, backslash, zero
AREAS = tuple((256 * 92 + n) / 65535 for n in (92, 10, 9, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 34))


def count(engine: Engine, job_id: JobId) -> int:
    with reading(engine) as connection:
        counted = select(func.count()).select_from(verdicts).where(verdicts.c.job_id == job_id)
        return int(connection.execute(counted).scalar_one())


def test_every_field_comes_back_as_it_was(engine: Engine) -> None:
    images = [entry(name or "empty", etag=name, version_id=name or None, size=2**40) for name in AWKWARD]
    job_id = ready_job(engine, images)
    results = [
        replace(scored(i, image, 0.75), map_uri=f"{CONTAINER}/{image.key}", tampered_areas=AREAS)
        for i, image in enumerate(images)
    ]
    results[0] = replace(results[0], evidence=evidence(2, pixels=1e-06, traces=0.25, copies=0.999))
    results[1] = replace(results[1], evidence=evidence(**{AWKWARD[0]: 0.5, AWKWARD[2]: 0.25, AWKWARD[5]: 1.0}))
    results[-1] = unreadable(len(images) - 1, images[-1], ErrorCode.CORRUPT, AWKWARD[2])
    with writing(engine) as connection:
        insert_verdicts(connection, job_id, results, database_clock)
    with reading(engine) as connection:
        rows = connection.execute(
            select(verdicts, jobs.c.model_fingerprint, epoch_now().label("now")).join(jobs).order_by(verdicts.c.ordinal)
        ).all()
    assert [verdict_from_row(row) for row in rows] == results
    assert all(0 <= row.now - row.recorded_at < 60 for row in rows)


def test_a_second_verdict_for_an_image_is_refused_and_takes_the_rest_back(engine: Engine) -> None:
    images = entries(3)
    job_id = ready_job(engine, images)
    with writing(engine) as connection:
        insert_verdicts(connection, job_id, [scored(1, images[1])], database_clock)
    with pytest.raises(IntegrityError), writing(engine) as connection:
        insert_verdicts(connection, job_id, [scored(i, image) for i, image in enumerate(images)], database_clock)
    assert count(engine, job_id) == 1


def test_nothing_is_nothing(engine: Engine) -> None:
    job_id = ready_job(engine, entries(1))
    with writing(engine) as connection:
        insert_verdicts(connection, job_id, [], database_clock)
    assert count(engine, job_id) == 0


@pytest.mark.postgres
def test_a_server_that_goes_away_meanwhile_is_a_database_that_is_away(
    postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut between the question for the time and the copying, which SQLAlchemy does not see."""
    images = entries(2)
    job_id = ready_job(postgres_engine, images)

    def cut_then_copy(connection: Connection, *rest: Any) -> None:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with writing(postgres_engine) as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        copy(connection, *rest)

    copy = recording._copy
    monkeypatch.setattr(recording, "_copy", cut_then_copy)
    with pytest.raises(DATABASE_AWAY) as caught, writing(postgres_engine) as connection:
        insert_verdicts(connection, job_id, [scored(i, image) for i, image in enumerate(images)], database_clock)
    assert isinstance(caught.value, OperationalError)
    assert count(postgres_engine, job_id) == 0
