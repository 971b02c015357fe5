"""A bucket's listing over several key ranges at once, given out in the order of the keys, in flat memory.

S3 lists a thousand keys a request, and a request needs the last key of the one before. Ranges of keys that are told
apart by their beginnings can be listed side by side, though. What is listed ahead waits in temporary files.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from jobs.domain import ImageKey, ObjectInfo
from jobs.errors import JobsError
from jobs.progress import report_progress
from jobs.storage.s3_ranges import KeyRange, divide

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef

logger = logging.getLogger(__name__)

#: keys in one answer; S3 gives no more
PAGE_KEYS = 1000
#: pages listed one after another before it is worth while to look for ranges
HEAD_PAGES = 5
#: lists under way at once
LISTS = 8

Ask = Callable[..., "ListObjectsV2OutputTypeDef"]
Page = list[ObjectInfo]


def list_bucket(ask: Ask, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """The objects below `prefix` and behind the key `after` ("": all), in the order of their keys.

    `ask` is `list_objects_v2` of one bucket; what it raises is raised here. The listing begins as one list; when it
    is long, ranges are looked for meanwhile.
    """
    last = after
    with _RangeFinder(ask, prefix) as finder:
        for number, page in enumerate(_pages(ask, KeyRange(prefix=prefix, after=after)), start=1):
            report_progress()
            yield from page
            last = page[-1].key if page else last
            if number == HEAD_PAGES:
                finder.start(last)
            if finder.found is not None:
                break
        else:
            return
    behind = (each.behind(last) for each in finder.found)
    yield from _side_by_side(ask, [each for each in behind if each is not None])


class _RangeFinder:
    """Looks for ranges while a listing goes on. Use as a context manager: leaving it ends the search."""

    def __init__(self, ask: Ask, prefix: str) -> None:
        self._ask = ask
        self._prefix = prefix
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        #: the ranges, once there are several
        self.found: list[KeyRange] | None = None

    def start(self, after: str) -> None:
        """Begin the search behind a key."""
        self._thread = threading.Thread(target=self._run, args=(after,), name="ranges", daemon=True)
        self._thread.start()

    def _run(self, after: str) -> None:
        try:
            found = divide(self._first_key, self._prefix, after, at_once=LISTS)
        except (_Stopped, JobsError) as error:
            logger.debug("no ranges below %r: %s", self._prefix, error)  # one list goes on as it is
            return
        if len(found) > 1:
            self.found = found

    def _first_key(self, prefix: str, after: str) -> str | None:
        if self._stop.is_set():
            raise _Stopped
        start = {"StartAfter": after} if after else {}
        found = self._ask(Prefix=prefix, MaxKeys=1, **start).get("Contents", ())
        return found[0]["Key"] if found else None

    def __enter__(self) -> _RangeFinder:
        return self

    def __exit__(self, *ending: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


class _Stopped(Exception):
    """Nobody needs the ranges any more."""


def object_info(item: ObjectTypeDef) -> ObjectInfo:
    """One entry of an answer."""
    return ObjectInfo(
        key=ImageKey(item["Key"]),
        size=item["Size"],
        etag=item["ETag"].strip('"') if "ETag" in item else None,
        modified_at=item["LastModified"].timestamp() if "LastModified" in item else None,
        storage_class=item.get("StorageClass"),
    )


def _pages(ask: Ask, wanted: KeyRange) -> Iterator[Page]:
    """The keys of a range, page by page, without the markers ("folder/") that consoles leave behind."""
    request: dict[str, Any] = {"Prefix": wanted.prefix, "MaxKeys": PAGE_KEYS}
    if wanted.after:
        request["StartAfter"] = wanted.after
    while True:
        answer = ask(**request)
        found = [object_info(item) for item in answer.get("Contents", ()) if wanted.holds(item["Key"])]
        yield [info for info in found if not info.key.endswith("/")]
        token = answer.get("NextContinuationToken")
        if not answer.get("IsTruncated") or not token or wanted.alone:
            return
        request = {"Prefix": wanted.prefix, "MaxKeys": PAGE_KEYS, "ContinuationToken": token}


def _side_by_side(ask: Ask, ranges: list[KeyRange]) -> Iterator[ObjectInfo]:
    """Several ranges at once, the foremost given out while those behind it are listed ahead."""
    waiting = iter(ranges)
    stop = threading.Event()
    with ThreadPoolExecutor(LISTS, thread_name_prefix="list") as pool:

        def start(wanted: KeyRange) -> _Spool:
            spool = _Spool()
            pool.submit(_list_into, spool, ask, wanted, stop)
            return spool

        under_way = deque(start(wanted) for wanted in islice(waiting, LISTS))
        try:
            while under_way:
                spool = under_way.popleft()
                with closing(spool):
                    for page in spool.pages():
                        report_progress()
                        yield from page
                under_way.extend(start(wanted) for wanted in islice(waiting, 1))
        finally:
            stop.set()  # the caller may have gone away
            for spool in under_way:
                spool.close()


def _list_into(spool: _Spool, ask: Ask, wanted: KeyRange, stop: threading.Event) -> None:
    try:
        for page in _pages(ask, wanted):
            if stop.is_set():
                break
            if page:
                spool.put(page)
    except BaseException as error:  # noqa: BLE001 - raised again by whoever reads
        spool.end(error)
    else:
        spool.end()


@dataclass(slots=True)
class _Written:
    start: int
    size: int


class _Spool:
    """Pages on their way from one thread to another, through a temporary file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="nclscreen-")  # noqa: SIM115 - closed in `close`
        self._changed = threading.Condition()
        self._written: deque[_Written] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None

    def put(self, page: Page) -> None:
        """Add a page; dropped when nobody reads any more."""
        rows = [(info.key, info.size, info.etag, info.modified_at, info.storage_class) for info in page]
        data = zlib.compress(json.dumps(rows).encode(), level=1)
        with self._changed:
            if self._closed:
                return
            self._file.seek(self._size)
            self._file.write(data)
            self._written.append(_Written(self._size, len(data)))
            self._size += len(data)
            self._changed.notify()

    def end(self, error: BaseException | None = None) -> None:
        """No page will follow."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def pages(self) -> Iterator[Page]:
        """The pages in their order; raises what ended the writing."""
        while (data := self._next()) is not None:
            rows = json.loads(zlib.decompress(data))
            yield [
                ObjectInfo(key=ImageKey(key), size=size, etag=etag, modified_at=at, storage_class=kind)
                for key, size, etag, at, kind in rows
            ]

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._written or self._ended)
            if not self._written:
                if self._error is not None:
                    raise self._error
                return None
            place = self._written.popleft()
            self._file.seek(place.start)
            return self._file.read(place.size)

    def close(self) -> None:
        """Drop what is left."""
        with self._changed:
            self._closed = True
            self._file.close()
