"""Which database it is: the same whichever way it is reached, another one for another database."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

from jobs.sql.database import create_database_engine, database_identity


def test_a_file_is_known_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    urls = [f"sqlite:///{tmp_path}/here/a.db", "sqlite:///here/a.db", f"sqlite:///{tmp_path}/link/a.db"]
    assert len({database_identity(create_database_engine(url)) for url in urls}) == 1
    assert database_identity(create_database_engine("sqlite:///here/b.db")) != database_identity(
        create_database_engine(urls[0])
    )


@pytest.mark.postgres
def test_databases_of_one_server_differ(postgres_server: PostgresServer) -> None:
    urls = [postgres_server.create_database() for _ in range(2)]
    engines = [create_database_engine(url) for url in [*urls, f"{urls[0]}?application_name=other"]]
    one, other, again = (database_identity(engine) for engine in engines)
    assert one == again != other
    assert len(one) == 8
    for engine in engines:
        engine.dispose()
    for url in urls:
        postgres_server.drop_database(url)
