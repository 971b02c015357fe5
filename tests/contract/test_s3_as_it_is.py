"""S3 as it is met in the field: throttling in other accents, silence, versions, roles.

The storage is real; its bad days are the proxy's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.servers.faulty_proxy import FaultyProxy, Refuse, Silence
from support.servers.s3_server import S3Bucket, S3Server
from support.servers.token_service import TokenService

from jobs.domain import ImageKey
from jobs.errors import AccessDenied, ErrorCode, InvalidCredentials, ObjectNotFound, StorageUnavailable
from jobs.storage import S3Storage
from jobs.storage.s3_clients import client_for, close_clients
from nclscreen.settings import Settings

pytestmark = pytest.mark.s3

KEY = ImageKey("2026/photo.jpg")
DATA = bytes(range(256)) * 64


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_server.endpoint_url)
    yield proxy
    proxy.close()


@pytest.fixture
def storage(s3_bucket: S3Bucket) -> S3Storage:
    storage = S3Storage(s3_bucket.container, s3_bucket.options)
    storage.write(KEY, DATA, content_type="image/jpeg")
    return storage


@pytest.fixture
def through_proxy(storage: S3Storage, proxy: FaultyProxy) -> S3Storage:
    """The same bucket behind the proxy; its client tries three times and waits a second for an answer."""
    options = replace(storage.options, endpoint_url=proxy.endpoint_url, max_attempts=3, read_timeout_s=1.0)
    return S3Storage(storage.container, options)


@pytest.mark.parametrize(
    "fault",
    [
        Refuse(429, "TooManyRequests"),
        Refuse(429),
        Refuse(504, "GatewayTimeout"),
        Silence(1.5),
    ],
    ids=str,
)
def test_what_passes_is_waited_out_and_what_does_not_is_a_timeout(
    through_proxy: S3Storage, proxy: FaultyProxy, fault: Refuse | Silence
) -> None:
    proxy.faults.extend([fault, fault])
    assert through_proxy.read(KEY) == DATA
    assert len(proxy.ranges) == 3
    proxy.faults.extend([fault] * 10)
    with pytest.raises(StorageUnavailable) as caught:
        through_proxy.read(KEY)
    assert caught.value.code is ErrorCode.TIMEOUT
    assert caught.value.transient
    assert len(proxy.ranges) <= 6, "it was asked more often than it is tried"


@pytest.mark.parametrize("fault", [Refuse(403, "AccessDenied"), Refuse(403)], ids=str)
def test_what_is_forbidden_is_asked_for_once(through_proxy: S3Storage, proxy: FaultyProxy, fault: Refuse) -> None:
    proxy.faults.append(fault)
    with pytest.raises(AccessDenied) as caught:
        through_proxy.read(KEY)
    assert caught.value.code is ErrorCode.ACCESS_DENIED
    assert not caught.value.transient
    assert len(proxy.ranges) == 1


def test_a_silent_store_is_given_up_in_bounded_time(through_proxy: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults.extend([Silence(3.0)] * 3)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="Read timeout"):
        through_proxy.check()
    assert time.monotonic() - began < 20


def test_an_old_version_is_read_by_its_id_also_after_the_object_was_deleted(storage: S3Storage) -> None:
    client, bucket = client_for(storage.options), storage.container.removeprefix("s3://")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    key = ImageKey("2026/versioned ü+%.jpg")
    first = client.put_object(Bucket=bucket, Key=key, Body=b"as it was")["VersionId"]
    second = client.put_object(Bucket=bucket, Key=key, Body=b"as it is")["VersionId"]
    assert first != second
    assert storage.read(key) == b"as it is"
    assert storage.read(key, version_id=first) == b"as it was"
    client.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ObjectNotFound):
        storage.read(key)
    with pytest.raises(ObjectNotFound):
        storage.stat(key)
    assert storage.read(key, version_id=first) == b"as it was"
    assert storage.read(key, version_id=second) == b"as it is"
    assert key not in [info.key for info in storage.list_objects()]


def test_a_version_that_does_not_exist_is_not_found(storage: S3Storage) -> None:
    client, bucket = client_for(storage.options), storage.container.removeprefix("s3://")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(ObjectNotFound):
        storage.read(KEY, version_id="1234567890.12345")


def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    close_clients()


def test_a_profile_brings_its_keys(
    storage: S3Storage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_keys(monkeypatch)
    credentials = tmp_path / "credentials"
    keys = f"aws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    credentials.write_text(f"[archive]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    with pytest.raises(InvalidCredentials):
        storage.check()
    close_clients()
    monkeypatch.setenv("AWS_PROFILE", "archive")
    assert storage.read(KEY) == DATA


@pytest.fixture
def tokens(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenService]:
    """A security token service that gives out the storage's keys to whoever assumes the role."""
    service = TokenService(s3_server.access_key, s3_server.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.endpoint_url)
    yield service
    service.close()


def test_a_web_identity_assumes_its_role(
    storage: S3Storage, tokens: TokenService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a Kubernetes pod with a service account: a token in a file, a role in the environment."""
    without_keys(monkeypatch)
    (tmp_path / "token").write_text("a token of the cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/screening")
    assert storage.read(KEY) == DATA
    assert tokens.asked == [("AssumeRoleWithWebIdentity", "arn:aws:iam::123456789012:role/screening")]


def test_a_profile_assumes_its_role(
    storage: S3Storage, tokens: TokenService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_keys(monkeypatch)
    config = tmp_path / "config"
    config.write_text(
        "[profile base]\naws_access_key_id = base\naws_secret_access_key = secret\n"
        "[profile screening]\nrole_arn = arn:aws:iam::123456789012:role/screening\nsource_profile = base\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "screening")
    assert storage.read(KEY) == DATA
    assert tokens.asked == [("AssumeRole", "arn:aws:iam::123456789012:role/screening")]


def test_a_role_that_may_not_be_assumed_is_a_matter_of_credentials(
    storage: S3Storage, tokens: TokenService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_keys(monkeypatch)
    tokens.refuse = True
    (tmp_path / "token").write_text("a token of the cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/screening")
    with pytest.raises(AccessDenied, match="AssumeRoleWithWebIdentity"):
        storage.read(KEY)


@pytest.mark.parametrize("fetchers", [1, 4, 200])
def test_every_fetcher_finds_a_connection_in_the_pool(fetchers: int) -> None:
    assert Settings(fetchers=fetchers).s3.max_pool_connections >= 2 * fetchers


def test_patience_with_a_store_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCLSCREEN_S3_READ_TIMEOUT_S", "7.5")
    monkeypatch.setenv("NCLSCREEN_S3_MAX_ATTEMPTS", "9")
    options = Settings().s3
    assert (options.read_timeout_s, options.max_attempts) == (7.5, 9)
