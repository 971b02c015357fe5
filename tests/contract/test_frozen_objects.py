"""Objects of a real S3 storage are read as they were frozen, or they have changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from io import BytesIO

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from support.servers.faulty_proxy import BreakAfter, FaultyProxy
from support.servers.s3_server import S3Bucket, S3Server

from jobs.domain import Filters, ImageKey, ImageRef
from jobs.errors import ErrorCode, ObjectChanged, ObjectNotFound, StorageUnavailable
from jobs.preparation.corpus import Corpus
from jobs.storage import S3Options, S3Storage, open_storage
from jobs.storage.s3_clients import client_for, close_clients

KEY = ImageKey("2026/photo ü.jpg")
DATA = bytes(range(256)) * 4096
SWAPPED = DATA[::-1]


@pytest.fixture
def storage(s3_bucket: S3Bucket) -> S3Storage:
    storage = S3Storage(s3_bucket.container, s3_bucket.options)
    storage.write(KEY, DATA, content_type="image/jpeg")
    return storage


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_server.endpoint_url)
    yield proxy
    proxy.close()


def frozen(storage: S3Storage) -> ImageRef:
    corpus = Corpus(storage.container, Filters(), lambda container: open_storage(container, storage.options))
    (image,) = corpus.entries()
    return image


@pytest.mark.s3
def test_what_was_listed_is_read(storage: S3Storage) -> None:
    fetched = storage.fetch(frozen(storage))
    assert (fetched.data, fetched.etag, fetched.version_id) == (DATA, md5(DATA).hexdigest(), None)


@pytest.mark.s3
def test_an_object_that_was_swapped_since_has_changed(storage: S3Storage) -> None:
    """Found 1: the same size, other bytes, and the ETag of the listing beside the sha256 of what was read."""
    image = frozen(storage)
    storage.write(KEY, SWAPPED, content_type="image/jpeg")
    with pytest.raises(ObjectChanged) as caught:
        storage.fetch(image)
    assert caught.value.code is ErrorCode.CHANGED
    assert not caught.value.transient
    assert storage.fetch(replace(image, etag=None)).etag == md5(SWAPPED).hexdigest()
    storage.write(KEY, DATA, content_type="image/jpeg")
    assert storage.fetch(image).data == DATA


@pytest.mark.s3
def test_a_size_alone_is_held_against_the_answer(storage: S3Storage) -> None:
    with pytest.raises(ObjectChanged, match="bytes now"):
        storage.fetch(replace(frozen(storage), etag=None, size=5))


@pytest.mark.s3
def test_a_version_is_read_as_it_was_whatever_lies_over_it(storage: S3Storage) -> None:
    client, bucket = client_for(storage.options), storage.container.removeprefix("s3://")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=bucket, Key=KEY, Body=DATA)["VersionId"]
    second = client.put_object(Bucket=bucket, Key=KEY, Body=SWAPPED)["VersionId"]
    image = ImageRef(container=storage.container, key=KEY, version_id=first)
    client.delete_object(Bucket=bucket, Key=KEY)
    fetched = storage.fetch(image)
    assert (fetched.data, fetched.version_id) == (DATA, first)
    with pytest.raises(ObjectChanged):
        storage.fetch(replace(image, version_id=second, etag=md5(DATA).hexdigest()))
    client.delete_object(Bucket=bucket, Key=KEY, VersionId=first)
    with pytest.raises(ObjectNotFound):
        storage.fetch(image)


@pytest.mark.s3
def test_the_version_that_was_read_is_told(storage: S3Storage) -> None:
    client, bucket = client_for(storage.options), storage.container.removeprefix("s3://")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    latest = client.put_object(Bucket=bucket, Key=KEY, Body=DATA)["VersionId"]
    assert storage.fetch(frozen(storage)).version_id == latest


@pytest.mark.s3
@pytest.mark.parametrize("pinned", [True, False])
def test_an_object_that_changes_under_the_reader(storage: S3Storage, proxy: FaultyProxy, pinned: bool) -> None:
    image = frozen(storage) if pinned else replace(frozen(storage), etag=None)
    options = replace(storage.options, endpoint_url=proxy.endpoint_url, max_attempts=3)
    through_proxy = S3Storage(storage.container, options)

    def swap() -> None:
        storage.write(KEY, SWAPPED, content_type="image/jpeg")

    proxy.faults.append(BreakAfter(300_000))
    proxy.before_range = swap
    with pytest.raises(ObjectChanged if pinned else StorageUnavailable, match="PreconditionFailed"):
        through_proxy.fetch(image)


@pytest.mark.s3
def test_an_object_in_parts_has_the_etag_of_the_listing(storage: S3Storage) -> None:
    client, bucket = client_for(storage.options), storage.container.removeprefix("s3://")
    upload = client.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]
    parts = []
    for number, data in enumerate([bytes(5 << 20), b"the rest"], start=1):
        part = client.upload_part(Bucket=bucket, Key=KEY, PartNumber=number, UploadId=upload, Body=data)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.complete_multipart_upload(
        Bucket=bucket,
        Key=KEY,
        UploadId=upload,
        MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
    )
    assert storage.fetch(frozen(storage)).data == bytes(5 << 20) + b"the rest"


def test_a_storage_that_does_not_know_if_match_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server here is so old: the answer is a prepared one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    close_clients()
    storage = S3Storage("s3://bucket", S3Options(region="us-east-1"))
    image = ImageRef(container="s3://bucket", key=KEY, etag="abc", size=4)
    with Stubber(client_for(storage.options)) as stub:
        body = StreamingBody(BytesIO(b"data"), 4)
        answer = {"Body": body, "ContentLength": 4, "ETag": '"another"'}
        stub.add_response("get_object", answer, {"Bucket": "bucket", "Key": KEY, "IfMatch": '"abc"'})
        with pytest.raises(ObjectChanged, match="ETag is another now, it was abc"):
            storage.fetch(image)
    close_clients()
