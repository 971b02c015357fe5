"""The body of an S3 object as a stream that goes on where it broke off.

botocore retries a request until the head of the answer has come; what breaks in mid-body is left to its caller.
"""

from __future__ import annotations

import io
import random
import time
from typing import TYPE_CHECKING, Any

import urllib3
from botocore.exceptions import IncompleteReadError

from jobs.errors import ObjectChanged, StorageUnavailable
from jobs.progress import report_progress
from jobs.storage.s3_errors import BOTO_ERRORS, storage_error

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef
    from typing_extensions import Buffer

#: a connection that carried this much since the last break has earned a fresh count of tries
_PROGRESS_BYTES = 8 << 20
_FIRST_PAUSE_S = 0.1
#: an object comes at this rate at least, once so many seconds have passed: a storage that drips is as good as silent
MIN_BYTES_PER_S = 1024.0
GRACE_S = 30.0
_LONGEST_PAUSE_S = 5.0


class ObjectBody(io.RawIOBase):
    """An open object. Raises StorageError, never an error of botocore's."""

    def __init__(self, client: S3Client, uri: str, request: dict[str, Any], *, max_attempts: int) -> None:
        super().__init__()
        self._client = client
        self.uri = uri
        #: Bucket, Key and, where these were frozen, VersionId and IfMatch
        self._request = request
        self._max_attempts = max_attempts
        self._position = 0
        self._broken_at = 0
        self._breaks = 0
        #: seconds spent waiting for bytes
        self._waited_s = 0.0
        answer = self._get(request)
        #: bytes, as the storage announced them
        self.size: int = answer["ContentLength"]
        self._etag: str = answer["ETag"]
        #: as listings have it, without quotes
        self.etag = self._etag.strip('"')
        #: None where the bucket keeps no versions
        self.version_id: str | None = answer.get("VersionId")
        self._body: StreamingBody = answer["Body"]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` from where we are; asks for the rest again, with growing pauses, when the connection breaks.

        Raises:
            StorageUnavailable: it broke `max_attempts` times, or comes too slowly, or changed meanwhile, which is
                ObjectChanged where it was asked for with an ETag.
        """
        view = memoryview(buffer)
        while True:
            began = time.monotonic()
            try:
                chunk = self._read_some(len(view))
                break
            except (*BOTO_ERRORS, urllib3.exceptions.HTTPError) as error:
                self._reopen(error)
            finally:
                self._waited_s += time.monotonic() - began
        self._check_rate(len(chunk))
        report_progress()
        self._position += len(chunk)
        view[: len(chunk)] = chunk
        return len(chunk)

    def _read_some(self, most: int) -> bytes:
        """What has come, not all that is asked for: a body that drips would be waited for to its end.

        Raises IncompleteReadError when the body ends before the object does: nobody below counts here.
        """
        body: Any = self._body
        chunk: bytes = body._raw_stream.read1(most)  # botocore does not show this method of the response below
        if not chunk and most and self._position < self.size:
            raise IncompleteReadError(actual_bytes=self._position, expected_bytes=self.size)
        return chunk

    def _check_rate(self, more: int) -> None:
        came = self._position + more
        if more and self._waited_s > GRACE_S and came < MIN_BYTES_PER_S * self._waited_s:
            reason = f"{came} of {self.size} bytes came in {self._waited_s:.0f} s; that is as good as nothing"
            raise StorageUnavailable(self.uri, reason)

    def close(self) -> None:
        """Drop the connection, read to its end or not."""
        if not self.closed and hasattr(self, "_body"):  # not there if the very first request failed
            self._body.close()
        super().close()

    def _reopen(self, error: Exception) -> None:
        self._body.close()
        if self._position - self._broken_at >= _PROGRESS_BYTES:
            self._breaks = 0
        self._breaks += 1
        self._broken_at = self._position
        if self._breaks >= self._max_attempts:
            reason = f"broke off at byte {self._position} of {self.size}, {self._breaks} times: {error}"
            raise StorageUnavailable(self.uri, reason) from error
        pause_s = min(_FIRST_PAUSE_S * 2.0**self._breaks, _LONGEST_PAUSE_S)
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # spread, so that many readers do not come back at once
        # IfMatch: the rest must belong to the same bytes
        answer = self._get_rest({**self._request, "Range": f"bytes={self._position}-", "IfMatch": self._etag})
        self._body = answer["Body"]
        if self._position and not answer.get("ContentRange"):
            self._body.close()
            raise StorageUnavailable(self.uri, f"broke off, and the storage gives no ranges: {error}") from error

    def _get_rest(self, request: dict[str, Any]) -> GetObjectOutputTypeDef:
        try:
            return self._get(request)
        except ObjectChanged as error:
            if "IfMatch" in self._request:
                raise
            # nobody said which bytes are wanted: read anew, it is whole again
            raise StorageUnavailable(self.uri, f"changed while it was read: {error.reason}") from error

    def _get(self, request: dict[str, Any]) -> GetObjectOutputTypeDef:
        try:
            return self._client.get_object(**request)
        except BOTO_ERRORS as error:
            raise storage_error(self.uri, error) from error
