"""What tests of every kind share: real servers, started once per session and only when a test asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from support.servers.child_processes import ServerFailed
from support.servers.mlflow_server import MlflowServer
from support.servers.postgres import PostgresServer
from support.servers.s3_server import S3Bucket, S3Server

from jobs.storage.s3_clients import close_clients


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run side by side there is a process a core: threads of torch would only wait for each other."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def _unavailable(error: ServerFailed) -> NoReturn:
    """In CI a server that does not start is a failure; elsewhere its tests are left out, with the reason."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server."""
    try:
        server = PostgresServer()
    except ServerFailed as error:
        _unavailable(error)
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty database."""
    postgres_server.start()  # a test before this one may have left it stopped
    url = postgres_server.create_database()
    yield url
    postgres_server.start()
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'nclscreen.db'}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3-compatible storage."""
    try:
        server = S3Server()
    except ServerFailed as error:
        _unavailable(error)
    yield server
    server.close()


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Bucket]:
    """A fresh bucket, with the AWS variables for it set while the test runs."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    yield s3_server.create_bucket()
    close_clients()


@pytest.fixture
def mlflow_server() -> Iterator[MlflowServer]:
    """The address of a real MLflow server, which the test starts, and its data."""
    try:
        server = MlflowServer()
    except ServerFailed as error:
        _unavailable(error)
    yield server
    server.close()
