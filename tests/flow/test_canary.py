"""A model that answers otherwise than when it was registered, on a real Ray: it scores nothing, and people hear why."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update
from support.flow_program import Program
from support.odd_images import encoded, photo

from jobs.sql.database import create_database_engine, writing
from jobs.sql.model_tables import model_versions

pytestmark = pytest.mark.cluster


def test_a_model_that_does_not_compute_as_it_did_is_not_used(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "one.png").write_bytes(encoded(photo(), "PNG"))
    assert program("register").returncode == 0
    engine = create_database_engine(f"sqlite:///{tmp_path / 'home' / 'nclscreen.sqlite'}")
    with writing(engine) as connection:
        connection.execute(update(model_versions).values(canary={"batch": 1, "scores": [0.987] * 8}))
    engine.dispose()
    job_id = program("submit", str(folder)).stdout.strip()
    refused = program("up")
    assert refused.returncode == 1
    assert "does not compute here as it did: it scores 8 of 8 canary pictures otherwise" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert program.json("job", job_id)["counts"]["scored"] == 0
