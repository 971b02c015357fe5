"""The protocol every object storage follows, and the options of the S3 one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from jobs.domain import Container, ImageKey, ImageRef, ObjectInfo

AddressingStyle = Literal["auto", "path", "virtual"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketAccess:
    """What one bucket needs that others do not."""

    #: its own endpoint
    endpoint_url: str | None = None
    #: profile of the AWS config files that has its credentials
    profile: str | None = None
    #: role to assume for it, from those credentials or the usual ones
    role_arn: str | None = None
    #: account that must own it: else every request is refused
    owner: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOptions:
    """How objects are written: parameters of PutObject, None for what the bucket's own settings say."""

    #: "AES256", "aws:kms" or "aws:kms:dsse"
    encryption: str | None = None
    kms_key_id: str | None = None
    storage_class: str | None = None
    #: a canned one, such as "bucket-owner-full-control"
    acl: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """For `put_object`."""
        given = {
            "ServerSideEncryption": self.encryption,
            "SSEKMSKeyId": self.kms_key_id,
            "StorageClass": self.storage_class,
            "ACL": self.acl,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Options:
    """How to talk to an S3-compatible storage. Credentials are not here: they come from the standard AWS chain.

    Picklable and hashable, so that a task on another machine rebuilds its storage from it.
    """

    #: None: AWS itself, or whatever AWS_ENDPOINT_URL_S3 says
    endpoint_url: str | None = None
    #: most storages that are not AWS need "path"
    addressing_style: AddressingStyle = "auto"
    #: None: AWS_REGION, AWS_DEFAULT_REGION or the profile
    region: str | None = None
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    #: tries of one request, the first one included; also how often a broken body is asked for again
    max_attempts: int = 4
    max_pool_connections: int = 32
    #: we pay for requests to buckets whose owners do not
    requester_pays: bool = False
    writes: WriteOptions = WriteOptions()
    #: (name, access) of buckets that need something of their own
    buckets: tuple[tuple[str, BucketAccess], ...] = ()

    def access_to(self, bucket: str) -> BucketAccess:
        """What this bucket needs."""
        return dict(self.buckets).get(bucket) or BucketAccess()

    @property
    def longest_silence_s(self) -> float:
        """So long a request may be tried without a byte, pauses between the tries included, and be in order."""
        return self.max_attempts * (self.connect_timeout_s + self.read_timeout_s) + 20.0 * (self.max_attempts - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """The bytes of an image, and what the storage said they were."""

    data: bytes
    #: None where the storage has none, as folders have
    etag: str | None = None
    #: None where the storage keeps no versions
    version_id: str | None = None


class ObjectStorage(Protocol):
    """A container of objects. Implementations are thread-safe and raise only the errors of `jobs.errors`."""

    @property
    def container(self) -> Container:
        """The container's URI: "s3://bucket" or "file:///absolute/folder" (percent-encoded)."""

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        """Stream the objects whose keys start with `prefix` (plain text, as in S3: "a" matches "a/1" and "ab").

        Never holds the whole listing. The order is the same at every call while nothing changes. `after` begins
        behind that key of the order, whether it is still there or not.

        Raises:
            ContainerNotFound, AccessDenied, InvalidCredentials, StorageUnavailable.
        """

    def stat(self, key: ImageKey) -> ObjectInfo:
        """What a listing would show of this one object.

        Raises:
            ObjectNotFound: it is not there. And whatever `list_objects` raises.
        """

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        """The object's bytes.

        Raises:
            ObjectTooLarge: it has more than `max_bytes`; its body is not read further than that.
            ObjectNotFound, AccessDenied, StorageUnavailable.
        """

    def fetch(self, image: ImageRef, *, max_bytes: int | None = None) -> Fetched:
        """The bytes that were frozen, whole: of that version, ETag, size and stamp, as far as these are known.

        Raises:
            ObjectChanged: what lies there now is something else, or it changed while it was read.
            And whatever `read` raises.
        """

    def open(self, key: ImageKey) -> io.RawIOBase | io.BytesIO:
        """The object as a stream of bytes, to be closed by the caller.

        Raises:
            ObjectNotFound, AccessDenied, StorageUnavailable; reading it may raise these, too.
        """

    def open_lines(self, key: ImageKey) -> Iterator[bytes]:
        """Stream a text object line by line, line ends kept; gzip is recognized by its first bytes.

        Raises:
            InvalidSource: the gzip stream is broken.
            ObjectTooLarge: one line has more than `jobs.storage.lines.MAX_LINE_BYTES`.
            ObjectNotFound, AccessDenied, StorageUnavailable.
        """

    def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
        """Put an object, whole or not at all, over an older one; returns its URI (see `split_object_uri`).

        Raises:
            AccessDenied, ContainerNotFound, StorageUnavailable.
        """

    def check(self, prefix: str = "", *, root: str | None = None) -> None:
        """Return if the container can be reached and listed; with `root`, if it is that one still.

        Raises:
            StorageUnavailable: it is another one, or empty: a mount went away.
            StorageError: the class and the message say what is wrong.
        """

    def identity(self) -> str | None:
        """What tells this container from another one at the same place; None where there can be no other.

        Raises StorageError, as `check`.
        """


#: gives the storage of a container URI, with whatever credentials and options this process has
OpenStorage = Callable[[Container], ObjectStorage]
