"""Where a training run is kept: a folder, or a prefix of an S3-compatible bucket through pyarrow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.errors import InvalidSource
from jobs.storage import S3Options, parse_source
from ncl_model.distributed.run_place import RunPlace


def run_place(out: str, options: S3Options) -> RunPlace:
    """The place of `out`, a folder or `s3://bucket/prefix`. Raises InvalidSource."""
    if not out.strip():
        raise InvalidSource(out, "give a folder or s3://bucket/prefix")
    if "://" not in out:
        return RunPlace(path=str(Path(out).expanduser().absolute()))
    parsed = parse_source(out)
    if not parsed.container.startswith("s3://"):
        raise InvalidSource(out, "give a folder or s3://bucket/prefix")
    prefix = str(parsed.single_key or parsed.prefix).strip("/")
    if not prefix:
        raise InvalidSource(out, "give a prefix for the run too: s3://bucket/prefix")
    bucket = parsed.container.removeprefix("s3://")
    return RunPlace(path=f"{bucket}/{prefix}", filesystem=s3_filesystem(options))


def s3_filesystem(options: S3Options) -> Any:
    """pyarrow's view of the storage. Credentials come from the standard AWS chain, on every node anew."""
    from pyarrow.fs import S3FileSystem

    # the newer default checksums are unknown to many storages that are not AWS
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    os.environ.setdefault("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    given: dict[str, Any] = {
        "connect_timeout": options.connect_timeout_s,
        "request_timeout": options.read_timeout_s,
        "force_virtual_addressing": options.addressing_style == "virtual",
    }
    if options.region:
        given["region"] = options.region
    endpoint = (
        options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    )
    if endpoint is not None:
        parts = urlsplit(endpoint)
        given |= {"endpoint_override": parts.netloc or endpoint, "scheme": parts.scheme or "https"}
    return S3FileSystem(**given)
