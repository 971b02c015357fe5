"""`db check` and `db upgrade` on SQLite, which needs neither; PostgreSQL: tests/contract/test_upgrades.py."""

from __future__ import annotations

import json

import pytest
from alembic import command

from jobs.sql.database import writing
from jobs.sql.migrations import alembic_config
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
