"""What things are known by."""

from __future__ import annotations

from typing import Any, NewType

JobId = NewType("JobId", str)
ShardId = NewType("ShardId", int)
#: what tells one model from another: weights, preprocessing and arithmetic; jobs are pinned to it
Fingerprint = NewType("Fingerprint", str)
#: the URI of a bucket or of a folder: "s3://bucket" or "file:///absolute/folder" (percent-encoded)
Container = NewType("Container", str)
#: where an image is inside its container: an S3 key, or a path relative to the corpus folder with "/" between parts
ImageKey = NewType("ImageKey", str)

#: a place in a source, in JSON types; what it means is known to `jobs.preparation.corpus`
Cursor = dict[str, Any]
