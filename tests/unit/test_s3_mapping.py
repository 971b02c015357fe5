"""What botocore raises, translated; and the clients, one per process and options."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from jobs.errors import (
    AccessDenied,
    ContainerNotFound,
    InvalidCredentials,
    ListingUnordered,
    ObjectArchived,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from jobs.storage import S3Options, S3Storage
from jobs.storage.s3_clients import client_for, close_clients
from jobs.storage.s3_errors import storage_error


@pytest.fixture(autouse=True)
def own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):  # a client without credentials is not kept
        monkeypatch.setenv(name, "test")
    close_clients()
    yield
    close_clients()


def answered(code: str, status: int) -> boto.ClientError:
    return boto.ClientError(
        {"Error": {"Code": code, "Message": "the storage's words"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetObject",
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectNotFound),
        ("404", 404, ObjectNotFound),
        ("NoSuchVersion", 404, ObjectNotFound),
        ("NoSuchBucket", 404, ContainerNotFound),
        ("AccessDenied", 403, AccessDenied),
        ("InvalidObjectState", 403, ObjectArchived),
        ("InvalidAccessKeyId", 403, InvalidCredentials),
        ("SignatureDoesNotMatch", 403, InvalidCredentials),
        ("ExpiredToken", 400, InvalidCredentials),
        ("SlowDown", 503, StorageUnavailable),
        ("InternalError", 500, StorageUnavailable),
        ("PreconditionFailed", 412, ObjectChanged),
        ("SomethingNew", 502, StorageUnavailable),
        ("SomethingNew", 429, StorageUnavailable),
        ("SomethingNew", 401, InvalidCredentials),
        ("SomethingNew", 403, AccessDenied),
        ("SomethingNew", 404, ObjectNotFound),
        ("NotImplemented", 501, StorageError),
        ("PermanentRedirect", 301, StorageError),
    ],
)
def test_answers(code: str, status: int, kind: type[StorageError]) -> None:
    error = storage_error("s3://bucket/key", answered(code, status))
    assert type(error) is kind
    assert error.uri == "s3://bucket/key"
    assert "the storage's words" in str(error)
    assert error.transient is (kind is StorageUnavailable)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (boto.NoCredentialsError(), InvalidCredentials),
        (boto.PartialCredentialsError(provider="env", cred_var="secret_key"), InvalidCredentials),
        (boto.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), StorageUnavailable),
        (boto.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"), StorageUnavailable),
        (boto.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), StorageUnavailable),
        (boto.ConnectionClosedError(endpoint_url="http://127.0.0.1:1"), StorageUnavailable),
        (boto.ResponseStreamingError(error="broken"), StorageUnavailable),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), StorageUnavailable),
        (ResponseParserError("not XML"), StorageUnavailable),
        (boto.SSLError(endpoint_url="https://host", error="self-signed certificate"), StorageError),
        (boto.ParamValidationError(report="Key is empty"), StorageError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_failures_before_an_answer(raised: Exception, kind: type[StorageError]) -> None:
    assert type(storage_error("s3://bucket", raised)) is kind


def test_errors_survive_the_way_back_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(storage_error("s3://bucket", answered("SlowDown", 503))))
    assert (type(error), error.uri) == (StorageUnavailable, "s3://bucket")


def test_threads_that_start_together_get_the_same_client() -> None:
    together = threading.Barrier(8)

    def get(_: int) -> object:
        together.wait(timeout=30)
        return client_for(S3Options(endpoint_url="http://127.0.0.1:1"))

    with ThreadPoolExecutor(8) as pool:
        assert len({id(client) for client in pool.map(get, range(8))}) == 1


def test_other_options_get_another_client() -> None:
    one, other = S3Options(region="eu-west-1"), S3Options(region="eu-north-1")
    assert client_for(one) is client_for(S3Options(region="eu-west-1"))
    assert client_for(one) is not client_for(other)


def test_a_closed_client_is_not_handed_out_again() -> None:
    options = S3Options(endpoint_url="http://127.0.0.1:1")
    before = client_for(options)
    close_clients()
    assert client_for(options) is not before


def test_the_options_reach_the_client() -> None:
    options = S3Options(
        endpoint_url="http://127.0.0.1:9",
        addressing_style="path",
        region="eu-west-1",
        connect_timeout_s=1.5,
        read_timeout_s=2.5,
        max_attempts=7,
        max_pool_connections=3,
    )
    meta = client_for(options).meta
    assert (meta.endpoint_url, meta.region_name) == ("http://127.0.0.1:9", "eu-west-1")
    assert (meta.config.connect_timeout, meta.config.read_timeout) == (1.5, 2.5)
    assert meta.config.retries == {"total_max_attempts": 7, "mode": "adaptive"}
    assert meta.config.max_pool_connections == 3
    assert meta.config.s3["addressing_style"] == "path"


@pytest.mark.parametrize("keys", [["b.jpg", "a.jpg"], ["a.jpg", "a.jpg"]], ids=["no order", "twice"])
def test_a_store_that_lists_in_another_order_is_refused(monkeypatch: pytest.MonkeyPatch, keys: list[str]) -> None:
    """Directory buckets do; no server to be had here does, so the answer is a prepared one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    storage = S3Storage("s3://archive--use1-az4--x-s3", S3Options(region="us-east-1"))
    with Stubber(client_for(storage.options)) as stub:
        stub.add_response("list_objects_v2", {"Contents": [{"Key": key, "Size": 1} for key in keys]})
        with pytest.raises(ListingUnordered, match=r"list of the keys \(\.csv\) instead"):
            list(storage.list_objects())
