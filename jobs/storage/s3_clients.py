"""One S3 client per process, options and credentials: made when first needed, shared by all threads."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from jobs.errors import StorageError
from jobs.storage.base import BucketAccess, S3Options
from jobs.storage.s3_errors import storage_error
from jobs.storage.s3_sessions import session_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_Key = tuple[int, S3Options, BucketAccess]

# the process id is part of the key: a forked child must not share its parent's connections
_clients: dict[_Key, S3Client] = {}
_lock = threading.Lock()  # making a client is not thread-safe in boto3; using one is
_USUAL = BucketAccess()


def client_for(options: S3Options, access: BucketAccess = _USUAL) -> S3Client:
    """The process's client for these options. One that found no credentials is not kept: they may come in a moment.

    Raises:
        InvalidCredentials: the AWS profile that was named does not exist.
        StorageError: the endpoint is not a URL.
    """
    key = (os.getpid(), options, access)
    with _lock:
        if key in _clients:
            return _clients[key]
        client, has_credentials = _make(options, access)
        if has_credentials:
            _clients[key] = client
        return client


def forget_client(client: S3Client) -> None:
    """Its credentials are not known any more: the next use makes a new one, with those of that moment.

    It is not closed: other threads may be in the middle of a request.
    """
    with _lock:
        for key in [key for key, kept in _clients.items() if kept is client]:
            del _clients[key]


def close_clients() -> None:
    """Close and forget this process's clients; the next use makes new ones with the credentials of that moment."""
    with _lock:
        for key in [key for key in _clients if key[0] == os.getpid()]:
            _clients.pop(key).close()


def _make(options: S3Options, access: BucketAccess) -> tuple[S3Client, bool]:
    """A client, and whether it has credentials."""
    config = Config(
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        retries={"total_max_attempts": options.max_attempts, "mode": "adaptive"},
        max_pool_connections=options.max_pool_connections,
        tcp_keepalive=True,
        s3={"addressing_style": options.addressing_style},
        # the newer default checksums are unknown to many storages that are not AWS
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    endpoint_url = access.endpoint_url or options.endpoint_url
    where = endpoint_url or "s3"
    try:
        session: boto3.session.Session = session_for(options.region, access)
        client = session.client("s3", endpoint_url=endpoint_url, config=config)
        return client, session.get_credentials() is not None
    except BotoCoreError as error:
        raise storage_error(where, error) from error
    except ValueError as error:  # botocore has no class of its own for this
        raise StorageError(where, f"{error}; an endpoint looks like https://host:port") from error
