"""A PostgreSQL database in use is brought up to date beside the work: nobody waits, and whatever breaks off goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from alembic import command
from sqlalchemy import Connection, Engine, inspect, text
from support.builders import FINGERPRINT, entry, lease
from support.servers.postgres import PostgresServer
from support.servers.transaction_pooler import TransactionPooler

from jobs.domain import Filters
from jobs.errors import SchemaOutdated, SessionShared
from jobs.lifecycle.job_store import JobStore
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.sql.database import create_database_engine, reading, writing
from jobs.sql.migrations import alembic_config, prepare_database, schema_status, sessions, upgrade, upgrading
from jobs.sql.rows import filters_to_json, hash_key
from nclscreen.cli.app import run
from nclscreen.wiring import wire

OLD = "0003"
ROWS = 40_000
LONGEST_WAIT_S = 2.0

pytestmark = pytest.mark.postgres


def at_revision(engine: Engine, revision: str) -> None:
    with writing(engine) as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def fill(connection: Connection, rows: int, first: int = 0, job_id: str = "old") -> None:
    """Verdicts as the old program records them."""
    connection.execute(
        text(
            "INSERT INTO verdicts"
            " (job_id, ordinal, container, key, key_hash, score, flagged, sha256, size, recorded_at)"
            " SELECT :job_id, i, 's3://photos', i || '.jpg', md5(i::text), 0.25, false, md5(i::text), 1000 + i % 7, 0"
            " FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i"
        ),
        {"job_id": job_id, "first": first, "last": first + rows - 1},
    )


@pytest.fixture
def old(postgres_url: str) -> Iterator[Engine]:
    """A database of an older version, with a job, a shard and verdicts in it."""
    engine = create_database_engine(postgres_url)
    at_revision(engine, OLD)
    with writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO jobs (id, state, source, filters, model_name, model_fingerprint, threshold, created_at) "
                "VALUES ('old', 'running', 's3://photos/', CAST(:filters AS json), 'memory 1', :fingerprint, 0.5, 1.0)"
            ),
            {"filters": json.dumps(filters_to_json(Filters())), "fingerprint": FINGERPRINT},
        )
        connection.execute(
            text("INSERT INTO shards (job_id, first_ordinal, image_count, state) VALUES ('old', 0, 8, 'leased')")
        )
        fill(connection, 100)
    yield engine
    engine.dispose()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What whoever upgrades is told, with everything said at once."""
    monkeypatch.setattr(sessions, "_POLL_S", 0.05)
    return []


def is_current(engine: Engine) -> bool:
    return schema_status(engine).is_current


def test_only_an_upgrade_changes_a_database_in_use(old: Engine, told: list[str]) -> None:
    with pytest.raises(SchemaOutdated, match=f"revision {OLD}, this version of nclscreen needs 0"):
        prepare_database(old)
    assert schema_status(old).revision == OLD
    assert upgrade(old, told.append).revision == OLD
    assert is_current(old)
    prepare_database(old)
    assert JobStore(old).get("old").state == "running"
    assert told[0].startswith("applying revision ")
    assert upgrade(old, told.append).is_current


def test_every_other_command_refuses_in_one_line(
    old: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", str(old.url).replace("postgresql+psycopg://", "postgres://"))
    with fresh_wiring():
        for arguments in (["jobs"], ["flagged"], ["job", "old"], ["cancel", "old"], ["submit", "."]):
            assert run(arguments) == 1
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            assert f"revision {OLD}" in said
            assert "bring it up to date with: nclscreen db upgrade" in said
        assert run(["db", "check", "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert (found["ok"], found["schema"]["revision"], found["pooled"]) == (False, OLD, False)
        assert run(["db", "upgrade"]) == 0
        assert "applying revision" in capsys.readouterr().err
        assert run(["db", "check"]) == 0
        assert "schema is current" in capsys.readouterr().out
        assert run(["jobs", "--json"]) == 0
        assert [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]] == ["old"]


@contextmanager
def fresh_wiring() -> Iterator[None]:
    """The commands' own, with the settings of this moment."""
    wire.cache_clear()
    try:
        yield
    finally:
        wire().unchecked_engine.dispose()
        wire.cache_clear()


@dataclass
class Writers:
    """The old program at work: verdicts, heartbeats and counters, and how long each transaction took."""

    engine: Engine
    stop: threading.Event = field(default_factory=threading.Event)
    took: list[float] = field(default_factory=list)
    #: the same for a table that no upgrade touches: what the machine itself costs at this moment
    beside: list[float] = field(default_factory=lambda: [0.0])
    errors: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Writers:
        with writing(self.engine) as connection:
            connection.execute(text("CREATE TABLE bystander AS SELECT 1 AS count"))
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(3)]
        self._threads.append(threading.Thread(target=self._stand_by))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, transactions: int) -> None:
        """Wait until so many more were made."""
        wanted = len(self.took) + transactions
        while len(self.took) < wanted and not self.errors:
            time.sleep(0.01)

    def _stand_by(self) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            with writing(self.engine) as connection:
                connection.execute(text("UPDATE bystander SET count = count + 1"))
            self.beside.append(time.monotonic() - began)

    def _work(self, number: int) -> None:
        ordinal = 1_000_000 * (number + 1)
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                with writing(self.engine) as connection:
                    connection.execute(text("UPDATE shards SET lease_expires_at = 1 WHERE job_id = 'old'"))
                    fill(connection, 20, ordinal)
                    connection.execute(text("UPDATE jobs SET scored = scored + 20 WHERE id = 'old'"))
                self.took.append(time.monotonic() - began)
                ordinal += 20
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.errors.append(error)


def test_under_load_no_write_waits_long(old: Engine, told: list[str]) -> None:
    with writing(old) as connection:
        fill(connection, ROWS, 100)
    reading_now = threading.Event()

    def read_for_long() -> None:
        """Somebody's report, over the table that is to be changed."""
        with reading(old) as connection:
            connection.execute(text("SELECT count(*) FROM verdicts")).scalar_one()
            reading_now.set()
            connection.execute(text("SELECT pg_sleep(4)"))

    reader = threading.Thread(target=read_for_long)

    def tell(line: str) -> None:
        told.append(line)
        if line == "applying revision 0006":  # a column for verdicts
            reader.start()
            reading_now.wait(60)

    with Writers(old) as writers:
        writers.go_on(20)
        upgrade(old, tell)
        writers.go_on(20)
    reader.join()
    assert writers.errors == []
    assert is_current(old)
    assert max(writers.took) < LONGEST_WAIT_S + max(writers.beside), sorted(writers.took)[-5:]
    assert "revision 0006 waits for a table that others use" in told  # it was in the way, and let go


def test_two_that_upgrade_do_so_one_after_the_other(old: Engine, told: list[str]) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(old.connect())
        sessions.take_migrator_lock(other, told.append)
        upgrading_now = threading.Thread(target=upgrade, args=(old, told.append))
        upgrading_now.start()
        try:
            while not told:
                time.sleep(0.01)
            assert told == ["another program migrates this database; waiting for it"]
            assert schema_status(old).revision == OLD
        finally:
            other.invalidate()
            upgrading_now.join()
    assert is_current(old)
    with reading(old) as connection:  # nobody holds it any more
        assert sessions.try_transaction_lock(connection)


def test_an_upgrade_that_breaks_off_goes_on(old: Engine, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = upgrading._apply

    def pulled(connection: Connection, revision: str, **how: object) -> None:
        real(connection, revision, **how)  # type: ignore[arg-type]
        raise RuntimeError("the plug was pulled")

    steps = len(schema_status(old).pending)
    for left in range(steps, 0, -1):
        assert len(schema_status(old).pending) == left
        with monkeypatch.context() as patch:
            patch.setattr(upgrading, "_apply", pulled)
            with pytest.raises(RuntimeError, match="plug"):
                upgrade(old, told.append)
    assert is_current(old)


def test_what_is_left_of_an_index_is_replaced(old: Engine, told: list[str]) -> None:
    with old.connect() as connection:
        connection.execute(text("CREATE INDEX ix_jobs_created_at_id ON jobs (id)"))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_created_at_id'::regclass")
        )
        connection.commit()
    upgrade(old, told.append)
    found = {index["name"]: index["column_names"] for index in inspect(old).get_indexes("jobs")}
    assert found["ix_jobs_created_at_id"] == ["created_at", "id"]
    with reading(old) as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar_one() == 0


def test_verdicts_of_before_are_reused_after(old: Engine, told: list[str]) -> None:
    with writing(old) as connection:
        fill(connection, 12_000, 100)  # more than one batch
    upgrade(old, told.append)
    image = entry("11999.jpg", size=1000 + 11_999 % 7)
    with writing(old) as connection:
        connection.execute(
            text("UPDATE verdicts SET key_hash = :hash WHERE ordinal = 11999"), {"hash": hash_key(image.key)}
        )
    assert "11999.jpg" in {verdict.key for verdict in KnownVerdicts(old).recall(lease([image])).known}
    with reading(old) as connection:
        assert connection.execute(text("SELECT count(*) FROM verdicts WHERE model_key IS NULL")).scalar_one() == 0


# -- a pooler


@pytest.fixture
def pooled(postgres_server: PostgresServer, old: Engine) -> Iterator[Engine]:
    """The same database behind a pooler that deals out its connections by the transaction."""
    with TransactionPooler(postgres_server.port, connections=4) as pooler:
        engine = create_database_engine(old.url.set(port=pooler.port).render_as_string())
        yield engine
        engine.dispose()


def test_a_pooler_is_noticed_and_an_upgrade_through_it_refused(pooled: Engine, old: Engine, told: list[str]) -> None:
    assert sessions.shares_sessions(pooled)
    assert not sessions.shares_sessions(old)
    with pytest.raises(SessionShared, match="pool_mode = transaction"):
        upgrade(pooled, told.append)
    assert schema_status(old).revision == OLD


def test_an_upgrade_that_loses_its_session_stops(
    pooled: Engine, old: Engine, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "shares_sessions", lambda engine: False)
    real = upgrading.take_migrator_lock
    with ExitStack() as stack:

        def somebody_takes_it(connection: Connection, tell: sessions.Tell) -> None:
            real(connection, tell)
            other = stack.enter_context(pooled.connect())
            other.execute(text("SELECT 1"))  # the backend that has the lock is somebody else's now

        monkeypatch.setattr(upgrading, "take_migrator_lock", somebody_takes_it)
        with pytest.raises(SessionShared):
            upgrade(pooled, told.append)
    assert schema_status(old).revision == OLD


def test_everything_else_works_through_a_pooler(pooled: Engine, old: Engine, told: list[str]) -> None:
    upgrade(old, told.append)
    prepare_database(pooled)
    store = JobStore(pooled)
    for _ in range(8):  # a statement that is asked so often would be prepared
        store.latest()
        with pooled.connect() as other:
            other.execute(text("SELECT 1"))  # takes the backend that just answered, and keeps it
            store.latest()
    assert store.get("old").id == "old"
