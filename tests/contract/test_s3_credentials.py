"""Credentials that are missing for a moment, run out in the middle of a job, or belong to one bucket alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.builders import lease, picture
from support.scene import codes, screener_over
from support.servers.faulty_proxy import FaultyProxy, Refuse
from support.servers.s3_server import S3Bucket, S3Server
from support.servers.token_service import TokenService

from jobs.domain import ImageKey, ImageRef
from jobs.errors import InvalidCredentials, StorageAway, StorageUnavailable
from jobs.storage import S3Storage
from jobs.storage.base import BucketAccess
from jobs.storage.s3_clients import close_clients

pytestmark = pytest.mark.s3

KEY = ImageKey("photo.png")
ROLE = "arn:aws:iam::123456789012:role/archive-reader"


@pytest.fixture
def storage(s3_bucket: S3Bucket) -> S3Storage:
    storage = S3Storage(s3_bucket.container, s3_bucket.options)
    storage.write(KEY, picture(0), content_type="image/png")
    return storage


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_server.endpoint_url)
    yield proxy
    proxy.close()


def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    close_clients()


def write_keys(path: Path, server: S3Server, secret: str | None = None, profile: str = "default") -> None:
    secret = secret or server.secret_key
    path.write_text(f"[{profile}]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {secret}\n")


def with_access(storage: S3Storage, **access: str) -> S3Storage:
    name = storage.container.removeprefix("s3://")
    return S3Storage(storage.container, replace(storage.options, buckets=((name, BucketAccess(**access)),)))


def test_a_moment_without_credentials_is_not_for_ever(
    storage: S3Storage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Found 3: the client was kept with its credentials missing."""
    without_keys(monkeypatch)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(InvalidCredentials):
        storage.read(KEY)
    write_keys(tmp_path / "credentials", s3_server)
    assert storage.read(KEY) == picture(0)


def test_keys_that_are_written_anew_are_taken_up_in_the_middle_of_a_job(
    storage: S3Storage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As tools do that log people in again: the file changes, the process stays."""
    without_keys(monkeypatch)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    write_keys(tmp_path / "credentials", s3_server, secret="of yesterday")
    images = [ImageRef(container=storage.container, key=KEY)] * 2
    with screener_over(storage) as screener:
        with pytest.raises(StorageAway):
            screener.screen(lease(images))
        write_keys(tmp_path / "credentials", s3_server)
        assert codes(screener.screen(lease(images))) == [None, None]


def test_a_token_that_runs_out_for_one_image_costs_it_nothing(storage: S3Storage, proxy: FaultyProxy) -> None:
    """They were fresh again when the storage was asked about it, and the image kept `access_denied` for good."""
    behind = S3Storage(storage.container, replace(storage.options, endpoint_url=proxy.endpoint_url))
    image = ImageRef(container=storage.container, key=KEY)
    with screener_over(behind) as screener:
        proxy.faults.append(Refuse(400, "ExpiredToken"))
        with pytest.raises(StorageAway):
            screener.screen(lease([image]))
        assert codes(screener.screen(lease([image]))) == [None]


def test_a_bucket_with_an_endpoint_of_its_own(storage: S3Storage, s3_server: S3Server) -> None:
    elsewhere = S3Storage(storage.container, replace(storage.options, endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(StorageUnavailable):
        elsewhere.read(KEY)
    assert with_access(elsewhere, endpoint_url=s3_server.endpoint_url).read(KEY) == picture(0)


def test_a_bucket_with_a_profile_of_its_own(
    storage: S3Storage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_keys(tmp_path / "credentials", s3_server, profile="maps-writer")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of another storage")
    close_clients()
    with pytest.raises(InvalidCredentials):
        storage.read(KEY)
    assert with_access(storage, profile="maps-writer").read(KEY) == picture(0)
    with pytest.raises(InvalidCredentials, match="nobody"):
        with_access(storage, profile="nobody").read(KEY)


def test_a_bucket_with_a_role_of_its_own(
    storage: S3Storage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = TokenService(s3_server.access_key, s3_server.secret_key)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", tokens.endpoint_url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "good for assuming roles alone")
        close_clients()
        assert with_access(storage, role_arn=ROLE).read(KEY) == picture(0)
        assert tokens.asked == [("AssumeRole", ROLE)]
        tokens.refuse = True
        close_clients()
        with pytest.raises(Exception, match="AssumeRole"):
            with_access(storage, role_arn=ROLE).read(KEY)
    finally:
        tokens.close()
