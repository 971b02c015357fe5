"""What goes wrong with an S3-compatible storage, and what is said about it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.servers.child_processes import free_ports
from support.servers.faulty_proxy import BreakAfter, Drip, FaultyProxy, SlowDown
from support.servers.s3_server import S3Bucket, S3Server

from jobs.domain import ImageKey
from jobs.errors import (
    ContainerNotFound,
    InvalidCredentials,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
)
from jobs.storage import S3Options, S3Storage, s3_body
from jobs.storage.s3_clients import close_clients

pytestmark = pytest.mark.s3

KEY = ImageKey("photo.jpg")
DATA = bytes(range(256)) * 4096


@pytest.fixture
def storage(s3_bucket: S3Bucket) -> S3Storage:
    return S3Storage(s3_bucket.container, s3_bucket.options)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_server.endpoint_url)
    yield proxy
    proxy.close()


@pytest.fixture
def through_proxy(storage: S3Storage, proxy: FaultyProxy) -> S3Storage:
    """A storage behind the proxy, with one object in it; its client tries three times."""
    storage.write(KEY, DATA, content_type="image/jpeg")
    return S3Storage(storage.container, replace(storage.options, endpoint_url=proxy.endpoint_url, max_attempts=3))


@pytest.mark.parametrize(
    ("access_key", "secret_key"),
    [(S3Server.access_key, "wrong"), ("nobody", "wrong")],
    ids=["wrong secret", "unknown key id"],
)
def test_wrong_credentials_say_which_variables_to_set(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, access_key: str, secret_key: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    close_clients()
    for attempt in (storage.check, lambda: storage.read(KEY), lambda: next(storage.list_objects())):
        with pytest.raises(InvalidCredentials, match="AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"):
            attempt()


def test_no_credentials_say_which_variables_to_set(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    close_clients()
    with pytest.raises(InvalidCredentials, match="Unable to locate credentials; check AWS_ACCESS_KEY_ID") as told:
        storage.check()
    assert str(told.value).endswith(f", on {socket.gethostname()}"), "which of a cluster's nodes"


def test_an_unknown_profile_is_a_matter_of_credentials(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    close_clients()
    with pytest.raises(InvalidCredentials, match="no-such-profile"):
        storage.check()


def test_a_missing_bucket_is_named(storage: S3Storage) -> None:
    missing = S3Storage("s3://no-such-bucket", storage.options)
    for attempt in (
        missing.check,
        lambda: next(missing.list_objects()),
        lambda: missing.read(KEY),
        lambda: missing.stat(KEY),
        lambda: missing.write(KEY, b"", content_type="image/jpeg"),
    ):
        with pytest.raises(ContainerNotFound, match="s3://no-such-bucket"):
            attempt()


def test_a_missing_object_is_not_a_missing_bucket(storage: S3Storage) -> None:
    with pytest.raises(ObjectNotFound) as caught:
        storage.read(KEY)
    assert type(caught.value) is ObjectNotFound


def test_an_empty_prefix_is_not_an_error(storage: S3Storage) -> None:
    storage.write(ImageKey("a/1.jpg"), b"1", content_type="image/jpeg")
    storage.check("nothing/here/")
    assert list(storage.list_objects("nothing/here/")) == []


def test_folder_markers_are_not_objects(storage: S3Storage) -> None:
    for key in ("a/", "a/1.jpg", "a/b/"):
        storage.write(ImageKey(key), b"", content_type="application/x-directory")
    assert [info.key for info in storage.list_objects()] == ["a/1.jpg"]


@pytest.mark.parametrize("key", ["a//b.jpg", "/lead.jpg", "../up.jpg", "a/../b.jpg", "./dot.jpg", "~*.jpg"])
def test_keys_that_are_no_paths_come_back_exactly(storage: S3Storage, key: str) -> None:
    storage.write(ImageKey(key), key.encode(), content_type="image/jpeg")
    assert [info.key for info in storage.list_objects()] == [key]
    assert storage.read(ImageKey(key)) == key.encode()
    assert storage.stat(ImageKey(key)).size == len(key)


def test_nobody_listening_is_noticed_in_bounded_time(storage: S3Storage) -> None:
    endpoint_url = f"http://127.0.0.1:{free_ports(1)[0]}"
    deaf = S3Storage("s3://bucket", S3Options(endpoint_url=endpoint_url, addressing_style="path", max_attempts=3))
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="Could not connect"):
        deaf.check()
    assert time.monotonic() - began < 15


def test_an_endpoint_that_is_no_url_is_explained(storage: S3Storage) -> None:
    with pytest.raises(StorageError, match="an endpoint looks like https://host:port") as caught:
        S3Storage("s3://bucket", S3Options(endpoint_url="localhost:9000")).check()
    assert not caught.value.transient


def test_the_limit_is_checked_before_the_body_is_read(through_proxy: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults.append(BreakAfter(0))  # reading the body would break and ask again
    with pytest.raises(ObjectTooLarge, match=f"{len(DATA)} bytes"):
        through_proxy.read(KEY, max_bytes=len(DATA) - 1)
    assert len(proxy.ranges) == 1


def test_a_body_that_breaks_off_is_asked_for_again_from_there(through_proxy: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults.extend([BreakAfter(300_000), BreakAfter(200_000)])
    assert through_proxy.read(KEY) == DATA
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in proxy.ranges if asked]
    assert len(proxy.ranges) == 3
    assert len(starts) == 2
    assert 0 <= starts[0] <= 300_000
    assert starts[0] <= starts[1] <= 500_000


def test_lines_go_on_after_a_break(through_proxy: S3Storage, storage: S3Storage, proxy: FaultyProxy) -> None:
    lines = [b"%d,some image.jpg\n" % number for number in range(50_000)]
    storage.write(ImageKey("m.csv"), b"".join(lines), content_type="text/csv")
    proxy.faults.extend([BreakAfter(400_000)])
    assert list(through_proxy.open_lines(ImageKey("m.csv"))) == lines
    assert len(proxy.ranges) == 2


def test_a_body_that_keeps_breaking_off_is_given_up(through_proxy: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults.extend([BreakAfter(1000)] * 20)
    with pytest.raises(StorageUnavailable, match=r"broke off at byte .* 3 times") as caught:
        through_proxy.read(KEY)
    assert caught.value.transient
    assert len(proxy.ranges) == 3


def test_an_object_that_changes_under_the_reader_is_not_patched_together(
    through_proxy: S3Storage, storage: S3Storage, proxy: FaultyProxy
) -> None:
    proxy.faults.append(BreakAfter(300_000))
    lines = through_proxy.open_lines(KEY)
    next(lines)
    storage.write(KEY, DATA[::-1], content_type="image/jpeg")
    with pytest.raises(StorageUnavailable, match="PreconditionFailed"):
        list(lines)


def test_throttling_is_waited_out(through_proxy: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults.extend([SlowDown(), SlowDown()])
    assert through_proxy.read(KEY) == DATA
    assert len(proxy.ranges) == 3


def test_throttling_without_end_is_given_up(through_proxy: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults.extend([SlowDown()] * 20)
    with pytest.raises(StorageUnavailable, match="SlowDown") as caught:
        through_proxy.check()
    assert caught.value.transient
    assert len(proxy.ranges) == 3


def test_an_object_that_drips_is_given_up_after_a_while(
    through_proxy: S3Storage, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found 6: one byte per half a second satisfies every socket, and was read for ever."""
    monkeypatch.setattr(s3_body, "GRACE_S", 0.2)
    proxy.faults.append(Drip(0.02))
    with pytest.raises(StorageUnavailable, match=r"bytes came in \d+ s; that is as good as nothing"):
        through_proxy.read(KEY)
    assert through_proxy.read(KEY) == DATA
