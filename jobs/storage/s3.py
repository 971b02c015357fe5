"""A bucket of an S3-compatible storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jobs.domain import Container, ImageKey, ImageRef, ObjectInfo
from jobs.errors import (
    InvalidCredentials,
    ListingUnordered,
    ObjectChanged,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
)
from jobs.progress import report_progress
from jobs.storage.base import Fetched, S3Options
from jobs.storage.lines import iterate_lines
from jobs.storage.s3_body import ObjectBody
from jobs.storage.s3_clients import client_for, forget_client
from jobs.storage.s3_errors import BOTO_ERRORS, storage_error
from jobs.storage.s3_listing import list_bucket, object_info

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class S3Storage:
    """Objects of one bucket. Holds no connection itself: cheap to make and to pickle."""

    #: "s3://bucket"
    container: Container
    options: S3Options

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        """Every object in the order of the keys; a long listing runs over several key ranges at once."""

        def ask(**request: Any) -> ListObjectsV2OutputTypeDef:
            with self._errors(f"{self.container}/{prefix}"):
                answer = self._client.list_objects_v2(**self._common, **request)
            self._check_order(answer)
            return answer

        return list_bucket(ask, prefix, after or "")

    def stat(self, key: ImageKey) -> ObjectInfo:
        """The object as the listing shows it: asked of the listing, since a HEAD cannot say why it failed."""
        uri = self._uri(key)
        with self._errors(uri):
            page = self._client.list_objects_v2(**self._common, Prefix=key, MaxKeys=1)
        # of all keys that start so, the key itself sorts first
        for item in page.get("Contents", ()):
            if item["Key"] == key:
                return object_info(item)
        raise ObjectNotFound(uri, "there is no such object")

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        """The object's bytes; a body that breaks off is asked for again from there."""
        with self._open(key, version_id) as body:
            return self._whole(body, key, max_bytes)

    def fetch(self, image: ImageRef, *, max_bytes: int | None = None) -> Fetched:
        """The bytes of the frozen version or ETag: asked for with If-Match, and held against the answer as well."""
        with self._open(image.key, image.version_id, etag=image.etag) as body:
            if image.etag is not None and body.etag != image.etag:  # the storage does not know If-Match
                raise ObjectChanged(body.uri, f"its ETag is {body.etag} now, it was {image.etag}")
            if image.size is not None and body.size != image.size:
                raise ObjectChanged(body.uri, f"it has {body.size} bytes now, it had {image.size}")
            data = self._whole(body, image.key, max_bytes)
            return Fetched(data=data, etag=body.etag, version_id=body.version_id or image.version_id)

    def _whole(self, body: ObjectBody, key: ImageKey, max_bytes: int | None) -> bytes:
        if max_bytes is not None and body.size > max_bytes:
            raise self._too_large(key, body.size, max_bytes)
        data = bytearray()
        while chunk := body.read(_CHUNK_BYTES):
            data += chunk
            if max_bytes is not None and len(data) > max_bytes:
                raise self._too_large(key, len(data), max_bytes)
        return bytes(data)

    def open(self, key: ImageKey) -> ObjectBody:
        """The object as a stream that goes on where it broke off."""
        return self._open(key, None)

    def open_lines(self, key: ImageKey) -> Iterator[bytes]:
        """Lines of a text object, streamed."""
        yield from iterate_lines(self._open(key, None), self._uri(key))

    def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
        """Put the object; S3 itself makes it whole or not at all."""
        with self._errors(self._uri(key)):
            how = self.options.writes.parameters
            self._client.put_object(**self._common, Key=key, Body=data, ContentType=content_type, **how)
        report_progress()
        return self._uri(key)

    def identity(self) -> None:
        """A bucket's name is its own."""

    def check(self, prefix: str = "", *, root: str | None = None) -> None:
        """Ask for one entry of the listing; pass the prefix where the credentials are good for that prefix only."""
        with self._errors(self.container):
            self._client.list_objects_v2(**self._common, Prefix=prefix, MaxKeys=1)

    def _check_order(self, answer: ListObjectsV2OutputTypeDef) -> None:
        for before, key in pairwise(item["Key"] for item in answer.get("Contents", ())):
            if key <= before:
                raise ListingUnordered(
                    self.container,
                    f"it lists {key!r} after {before!r}, and not in the order of the keys, as directory buckets do: "
                    "a listing that breaks off could not go on without losing images. Give a list of the keys (.csv) "
                    "instead",
                )

    @property
    def _bucket(self) -> str:
        return self.container.removeprefix("s3://")

    @property
    def _client(self) -> S3Client:
        return client_for(self.options, self.options.access_to(self._bucket))

    @property
    def _common(self) -> dict[str, Any]:
        """Parameters of every request."""
        owner = self.options.access_to(self._bucket).owner
        return {
            "Bucket": self._bucket,
            **({"RequestPayer": "requester"} if self.options.requester_pays else {}),
            **({"ExpectedBucketOwner": owner} if owner else {}),
        }

    def _uri(self, key: ImageKey) -> str:
        return f"{self.container}/{key}"

    def _open(self, key: ImageKey, version_id: str | None, *, etag: str | None = None) -> ObjectBody:
        request = {**self._common, "Key": key}
        if version_id is not None:
            request["VersionId"] = version_id
        if etag is not None:
            request["IfMatch"] = f'"{etag}"'
        client = self._client
        try:
            return ObjectBody(client, self._uri(key), request, max_attempts=self.options.max_attempts)
        except InvalidCredentials:
            forget_client(client)
            raise

    def _too_large(self, key: ImageKey, size: int, limit: int) -> StorageError:
        return ObjectTooLarge(self._uri(key), f"{size} bytes or more, the limit is {limit}")

    @contextmanager
    def _errors(self, uri: str) -> Iterator[None]:
        try:
            yield
        except BOTO_ERRORS as error:
            found = storage_error(uri, error)
            if isinstance(found, InvalidCredentials):
                forget_client(self._client)
            raise found from error
