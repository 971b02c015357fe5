"""The commands below `db` on SQLite; on PostgreSQL see test_upgrades, test_database_copies and test_backups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import delete
from support.builders import Bench, results_of
from support.queueing import claim, prepared

from jobs.domain import JobOptions
from jobs.sql.database import writing
from jobs.sql.migrations import alembic_config
from jobs.sql.tables import jobs
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


def test_an_empty_database_is_made_by_whoever_comes_first(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "check"]) == 0
    assert "empty, its tables are made by the first command" in capsys.readouterr().out
    assert run(["jobs"]) == 0
    capsys.readouterr()
    assert run(["db", "check", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["schema"]["pending"]) == (True, [])
    assert run(["db", "upgrade"]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_an_older_file_is_brought_up_by_whoever_comes_first(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    with writing(wiring.unchecked_engine) as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    assert run(["db", "check"]) == 0
    assert "at revision 0002" in capsys.readouterr().out
    assert run(["jobs"]) == 0
    assert run(["db", "check"]) == 0
    assert "schema is current" in capsys.readouterr().out


def test_a_newer_one_is_refused(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    with writing(wiring.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for arguments in (["db", "check"], ["db", "upgrade"]):
        assert run(arguments) == 1
        assert "revision 9999, which this version of nclscreen does not know" in capsys.readouterr().err


def test_a_database_is_kept_as_a_file_and_put_back(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = Bench(wiring.engine).submit(2)
    file = tmp_path / "kept.backup"
    assert run(["db", "snapshot", str(file)]) == 0
    assert "kept: " in capsys.readouterr().out
    assert run(["db", "snapshot", str(file)]) == 1
    assert "replace it with --force" in capsys.readouterr().err
    with writing(wiring.engine) as connection:
        connection.execute(delete(jobs))
    assert run(["db", "restore", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"]["pending"] == []
    assert wiring.jobs.get(job_id).id == job_id
    assert run(["db", "restore", str(file)]) == 1
    assert "to replace everything say --force" in capsys.readouterr().err


def test_a_snapshot_where_nobody_may_write_is_told(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs"]) == 0
    assert run(["db", "snapshot", "/proc/nowhere/kept.backup"]) == 1
    assert "/proc/nowhere/kept.backup" in capsys.readouterr().err


def test_a_copy_into_another_file(wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"sqlite:///{tmp_path / 'other.db'}"
    assert run(["db", "copy", target]) == 1
    assert "there is nothing to copy" in capsys.readouterr().err
    Bench(wiring.engine).submit(2)
    assert run(["db", "copy", target, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = {table["name"]: table["rows"] for table in document["tables"]}
    assert (document["target"], rows["jobs"], rows["leased_work"]) == (target, 1, 1)
    assert run(["db", "copy", target]) == 1
    assert "rows of its own in jobs" in capsys.readouterr().err
    assert run(["db", "copy", "oracle://x"]) == 2


def test_old_jobs_are_cleared_out_after_a_look(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(wiring.engine)
    job_id = prepared(bench, 8)
    for lease in claim(bench.queue(), job_id=job_id):
        bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    assert run(["db", "vacuum", "--keep-days", "0", "--dry-run", "--json"]) == 0
    looked = json.loads(capsys.readouterr().out)
    assert looked["cleared_out"] == {"jobs": [job_id], "verdicts": 8, "shards": 2, "kept": {}}
    assert not looked["vacuumed"]
    assert run(["db", "vacuum"]) == 0
    assert capsys.readouterr().out == "vacuumed\n"
    assert run(["db", "vacuum", "--keep-days", "1"]) == 0
    assert "removed 0 verdicts and 0 shards of 0 jobs" in capsys.readouterr().out
    assert run(["db", "vacuum", "--keep-days", "0"]) == 0
    assert "removed 8 verdicts and 2 shards of 1 jobs" in capsys.readouterr().out
    assert run(["job", job_id]) == 0
    assert "verdicts that people looked at are kept" in capsys.readouterr().out
    assert run(["replay", job_id, "--threshold", "0.9"]) == 1
    assert "its verdicts were cleared out" in capsys.readouterr().err
    assert run(["db", "vacuum", "--keep-days", "-1"]) == 2


def test_what_old_jobs_stay_as_they_are_for_is_said(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(wiring.engine)
    job_id = prepared(bench, 8, options=JobOptions(report="s3://reports/"))
    bench.store.cancel(job_id)
    assert run(["db", "vacuum", "--keep-days", "0"]) == 0
    assert "its completion report is still to be written" in capsys.readouterr().err
    assert bench.store.get(job_id).verdicts_removed_at is None
