"""What a person typed as a source, taken apart: container, prefix, single file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from jobs.domain import Container, ImageKey
from jobs.errors import InvalidSource
from jobs.storage.folder_keys import key_of

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
#: looser than AWS asks of new buckets: older ones and other storages have capitals, underscores and longer names
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedSource:
    """A source: the objects of a container whose keys start with a prefix, or one single file."""

    #: "s3://bucket" or "file:///absolute/folder", for `open_storage`
    container: Container
    #: plain text, S3 semantics: "a" matches "a/1.jpg" and "ab.jpg"
    prefix: str = ""
    #: set when the source names one file of a folder: only this key is meant
    single_key: ImageKey | None = None


def parse_source(source: str) -> ParsedSource:
    """Understand `s3://bucket/prefix`, `file:///absolute/path`, or a local path, absolute or not.

    Looks at the local disk only to tell a file from a folder; a missing folder shows up in `ObjectStorage.check`.

    Raises:
        InvalidSource: empty, another scheme, no bucket, an impossible bucket name.
    """
    if not source.strip():
        raise InvalidSource(source, "the source is empty; give a folder, a file or s3://bucket/prefix")
    if "\0" in source:
        raise InvalidSource(source, "there is a NUL character in it")
    scheme = _SCHEME.match(source)
    if scheme is None:
        return _parse_path(source)
    rest = source[scheme.end() :]
    match scheme.group(1).lower():
        case "s3":
            return _parse_s3(source, rest)
        case "file":
            return _parse_file_uri(source, rest)
        case other:
            raise InvalidSource(
                source, f"{other}:// is not supported; give a folder, file:///path or s3://bucket/prefix"
            )


def split_object_uri(uri: str) -> tuple[Container, ImageKey]:
    """Container and key of one object, from the URI that `ObjectStorage.write` returned.

    Raises:
        InvalidSource: it is not the URI of an object.
    """
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme.group(1) == "file":
        folder, name = os.path.split(unquote_to_bytes(uri[scheme.end() :]))
        if folder.startswith(b"/") and name:
            return folder_container(folder), key_of(name)
    elif scheme is not None and scheme.group(1) == "s3":
        parsed = _parse_s3(uri, uri[scheme.end() :])
        if parsed.prefix:
            return parsed.container, ImageKey(parsed.prefix)
    raise InvalidSource(uri, "it does not name an object")


def folder_container(path: bytes) -> Container:
    """The container URI of an absolute folder path, percent-encoded so that any name survives."""
    return Container(Path(os.fsdecode(path)).as_uri())


def folder_path(container: Container) -> bytes:
    """The path of a folder's container URI."""
    return unquote_to_bytes(container.removeprefix("file://"))


def _parse_s3(source: str, rest: str) -> ParsedSource:
    # not urlsplit: "?" and "#" are ordinary characters of a key
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise InvalidSource(source, "there is no bucket in it; write s3://bucket/prefix")
    if ":" in bucket:  # and not told again: it may be half of a secret
        raise InvalidSource(
            source,
            "no keys in addresses: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or NCLSCREEN_S3_BUCKET_PROFILES",
        )
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise InvalidSource(source, f"{bucket!r} cannot be the name of a bucket")
    return ParsedSource(container=Container(f"s3://{bucket}"), prefix=prefix)


def _parse_file_uri(source: str, rest: str) -> ParsedSource:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise InvalidSource(source, "a file URI has three slashes: file:///absolute/path")
    decoded = unquote_to_bytes(f"/{path}")
    if b"\0" in decoded:
        raise InvalidSource(source, "there is a NUL character in it")
    return _parse_absolute(os.path.abspath(decoded))


def _parse_path(source: str) -> ParsedSource:
    if re.match(r"s3[an]?:", source, re.IGNORECASE) and not os.path.lexists(source):
        raise InvalidSource(source, "write two slashes: s3://bucket/prefix")
    return _parse_absolute(os.path.abspath(os.fsencode(source)))


def _parse_absolute(path: bytes) -> ParsedSource:
    if os.path.lexists(path) and not os.path.isdir(path):
        folder, name = os.path.split(path)
        return ParsedSource(container=folder_container(folder), single_key=key_of(name))
    return ParsedSource(container=folder_container(path))
