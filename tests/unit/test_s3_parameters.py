"""What is said with each request to S3, and the settings behind it. Nothing here has a requester who pays: stubs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from pydantic import ValidationError

from jobs.domain import Filters, ImageKey, ObjectInfo
from jobs.storage import S3Options, S3Storage
from jobs.storage.base import BucketAccess, WriteOptions
from jobs.storage.s3_clients import client_for, close_clients
from nclscreen.settings import Settings, per_bucket

KEY = ImageKey("a.jpg")
PAYING = {"Bucket": "archive", "RequestPayer": "requester", "ExpectedBucketOwner": "111122223333"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    close_clients()
    yield
    close_clients()


@pytest.fixture
def storage() -> S3Storage:
    return S3Storage(
        "s3://archive",
        S3Options(
            region="eu-west-1",
            requester_pays=True,
            buckets=(("archive", BucketAccess(owner="111122223333")),),
            writes=WriteOptions(
                encryption="aws:kms", kms_key_id="key-1", storage_class="STANDARD_IA", acl="bucket-owner-full-control"
            ),
        ),
    )


@pytest.fixture
def stub(storage: S3Storage) -> Iterator[Stubber]:
    with Stubber(client_for(storage.options, storage.options.access_to("archive"))) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_who_pays_and_who_must_own_the_bucket_is_said_with_every_request(storage: S3Storage, stub: Stubber) -> None:
    stub.add_response("list_objects_v2", {}, {**PAYING, "Prefix": "", "MaxKeys": 1})
    storage.check()
    stub.add_response("list_objects_v2", {}, {**PAYING, "Prefix": "2026/", "MaxKeys": 1000})
    assert list(storage.list_objects("2026/")) == []
    answer = {"Body": StreamingBody(BytesIO(b"x"), 1), "ContentLength": 1, "ETag": '"e"'}
    stub.add_response("get_object", answer, {**PAYING, "Key": KEY})
    assert storage.read(KEY) == b"x"


def test_what_we_write_is_encrypted_classed_and_given_over_as_set(storage: S3Storage, stub: Stubber) -> None:
    how = {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key-1",
        "StorageClass": "STANDARD_IA",
        "ACL": "bucket-owner-full-control",
    }
    stub.add_response("put_object", {}, {**PAYING, "Key": KEY, "Body": b"x", "ContentType": "image/png", **how})
    storage.write(KEY, b"x", content_type="image/png")


def test_other_buckets_have_nothing_of_it() -> None:
    options = S3Options(buckets=(("archive", BucketAccess(owner="1")),))
    assert options.access_to("archive").owner == "1"
    assert options.access_to("other") == BucketAccess()
    assert WriteOptions().parameters == {}


def test_the_settings_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "S3_REQUESTER_PAYS": "true",
        "S3_BUCKET_OWNERS": "archive=111122223333",
        "S3_BUCKET_ROLES": "archive=arn:aws:iam::111122223333:role/reader",
        "S3_BUCKET_ENDPOINTS": "maps=https://maps.example.org:9000, reports=https://reports.example.org",
        "S3_BUCKET_PROFILES": "maps=writer",
        "S3_WRITE_ENCRYPTION": "AES256",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"NCLSCREEN_{name}", value)
    options = Settings().s3
    assert options.requester_pays
    assert options.writes.parameters == {"ServerSideEncryption": "AES256"}
    assert options.access_to("archive") == BucketAccess(
        owner="111122223333", role_arn="arn:aws:iam::111122223333:role/reader"
    )
    assert options.access_to("maps") == BucketAccess(endpoint_url="https://maps.example.org:9000", profile="writer")
    assert options.access_to("reports").endpoint_url == "https://reports.example.org"
    assert hash(options) == hash(Settings().s3)


@pytest.mark.parametrize("written", ["archive", "=x", "archive=", "a=1,a=2"])
def test_pairs_that_make_no_sense(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    with pytest.raises(ValueError, match=r"BUCKET=VALUE|twice"):
        per_bucket(written)
    monkeypatch.setenv("NCLSCREEN_S3_BUCKET_OWNERS", written)
    with pytest.raises(ValidationError):
        Settings()


# -- storage classes


def of_class(storage_class: str | None) -> ObjectInfo:
    return ObjectInfo(key=KEY, storage_class=storage_class)


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({}, {None, "STANDARD", "GLACIER_IR"}),
        ({"include_archived": True}, {None, "STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}),
        ({"storage_classes": ("standard",)}, {None, "STANDARD"}),
        ({"storage_classes": ("GLACIER",)}, {None, "GLACIER"}),
    ],
    ids=["usual", "with archived", "one class", "an archived class"],
)
def test_archived_objects_have_to_be_asked_for(fields: dict[str, Any], taken: set[str | None]) -> None:
    classes = (None, "STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
    assert {each for each in classes if Filters(**fields).accept(of_class(each))} == taken


def test_a_listing_says_the_class(storage: S3Storage, stub: Stubber) -> None:
    item = {"Key": KEY, "Size": 1, "LastModified": datetime(2026, 1, 1, tzinfo=UTC), "StorageClass": "DEEP_ARCHIVE"}
    stub.add_response("list_objects_v2", {"Contents": [item]})
    (info,) = storage.list_objects()
    assert info.storage_class == "DEEP_ARCHIVE"
