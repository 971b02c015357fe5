"""What every object storage must do: a folder, memory, and a real S3-compatible storage."""

from __future__ import annotations

import gzip
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.builders import keys_of
from support.inventories import Row, write_inventory
from support.servers.s3_server import S3Bucket, S3Server

from jobs.domain import Filters, ImageKey, ObjectInfo
from jobs.errors import InvalidSource, ObjectNotFound, ObjectTooLarge
from jobs.preparation.corpus import Corpus
from jobs.storage import (
    FolderStorage,
    MemoryStorage,
    ObjectStorage,
    S3Options,
    open_storage,
    s3_listing,
    split_object_uri,
)
from jobs.storage.lines import MAX_LINE_BYTES

AWKWARD_KEYS = [
    "plain.jpg",
    "with space.jpg",
    " leading and trailing ",
    "quo'te\".jpg",
    "new\nline.jpg",
    "carriage\rreturn\tand tab.jpg",
    "control\x01.jpg",
    "ünïcödé-写真-😀.jpg",
    "e\u0301-decomposed.jpg",
    "\u00e9-composed.jpg",
    "plus+sign.jpg",
    "per%41cent%.jpg",
    "what?is=#this&that;.jpg",
    "<b>&amp;.jpg",
    "back\\slash.jpg",
    "file-bytes:looks-quoted%FF.jpg",
    "-rf",
    "deep/er/and/deeper/x.jpg",
    "=cmd.csv",
]


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStorage:
    if request.param == "folder":
        folder = tmp_path / "a corpus 100%"
        folder.mkdir()
        return FolderStorage.at(folder)
    if request.param == "memory":
        return MemoryStorage()
    bucket = request.getfixturevalue("s3_bucket")
    return open_storage(bucket.container, bucket.options)


def put(storage: ObjectStorage, *keys: str, data: bytes = b"x") -> None:
    for key in keys:
        storage.write(ImageKey(key), data, content_type="image/jpeg")


def test_an_empty_container_lists_nothing_and_is_well(storage: ObjectStorage) -> None:
    storage.check()
    assert keys_of(storage) == []


def test_what_is_written_is_listed_with_its_size_and_read_back(storage: ObjectStorage) -> None:
    put(storage, "a/1.jpg", data=b"\x00\xff" * 500)
    (info,) = storage.list_objects()
    assert (info.key, info.size) == ("a/1.jpg", 1000)
    assert info.modified_at is not None
    assert storage.stat(info.key) == info
    assert storage.read(info.key) == b"\x00\xff" * 500


def test_a_write_replaces_the_object(storage: ObjectStorage) -> None:
    put(storage, "x.jpg", data=b"old and long")
    put(storage, "x.jpg", data=b"new")
    assert storage.read(ImageKey("x.jpg")) == b"new"
    assert keys_of(storage) == ["x.jpg"]


def test_an_empty_object_is_an_object(storage: ObjectStorage) -> None:
    put(storage, "empty.jpg", data=b"")
    assert [info.size for info in storage.list_objects()] == [0]
    assert storage.read(ImageKey("empty.jpg"), max_bytes=0) == b""
    assert list(storage.open_lines(ImageKey("empty.jpg"))) == []


def test_awkward_keys_come_back_exactly(storage: ObjectStorage) -> None:
    for key in AWKWARD_KEYS:
        put(storage, key, data=key.encode())
    found = {info.key: storage.read(info.key) for info in storage.list_objects()}
    assert found == {key: key.encode() for key in AWKWARD_KEYS}


def test_a_prefix_is_plain_text(storage: ObjectStorage) -> None:
    put(storage, "a/1.jpg", "a/2.jpg", "ab.jpg", "b/a/1.jpg", "a_.jpg", "a%.jpg")
    assert sorted(keys_of(storage, "a")) == ["a%.jpg", "a/1.jpg", "a/2.jpg", "a_.jpg", "ab.jpg"]
    assert sorted(keys_of(storage, "a/")) == ["a/1.jpg", "a/2.jpg"]
    assert keys_of(storage, "a/1") == ["a/1.jpg"]
    assert keys_of(storage, "b/a/1.jpg") == ["b/a/1.jpg"]
    assert keys_of(storage, "a%") == ["a%.jpg"]
    assert keys_of(storage, "none") == []


def test_two_listings_have_the_same_order(storage: ObjectStorage) -> None:
    put(storage, "c.jpg", "a/2.jpg", "b.jpg", "a/1.jpg")
    assert keys_of(storage) == keys_of(storage) == ["a/1.jpg", "a/2.jpg", "b.jpg", "c.jpg"]


def test_a_missing_object_is_not_found(storage: ObjectStorage) -> None:
    put(storage, "here.jpg")
    for key in ("gone.jpg", "here", "here.jpg.bak", "no/such/place.jpg"):
        with pytest.raises(ObjectNotFound, match=key):
            storage.read(ImageKey(key))
        with pytest.raises(ObjectNotFound, match=key):
            storage.stat(ImageKey(key))
        with pytest.raises(ObjectNotFound, match=key):
            list(storage.open_lines(ImageKey(key)))


def test_the_size_limit_is_inclusive(storage: ObjectStorage) -> None:
    put(storage, "x.jpg", data=b"x" * 1000)
    assert len(storage.read(ImageKey("x.jpg"), max_bytes=1000)) == 1000
    with pytest.raises(ObjectTooLarge, match="1000 bytes or more, the limit is 999"):
        storage.read(ImageKey("x.jpg"), max_bytes=999)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_lines_are_streamed_as_they_are(storage: ObjectStorage, pack: object) -> None:
    lines = [b"key,size\r\n", b"\xff\xfe not text\n", b"\n", b"x" * 70_000 + b"\n", b"no end"]
    put(storage, "manifest", data=pack(b"".join(lines)))  # type: ignore[operator]
    assert list(storage.open_lines(ImageKey("manifest"))) == lines


def test_lines_may_be_left_unread(storage: ObjectStorage) -> None:
    put(storage, "manifest.csv", data=b"line\n" * 200_000)
    stream = storage.open_lines(ImageKey("manifest.csv"))
    assert next(stream) == b"line\n"
    stream.close()  # type: ignore[attr-defined]
    assert storage.read(ImageKey("manifest.csv"), max_bytes=1_000_000) == b"line\n" * 200_000


def test_a_line_without_end_does_not_fill_the_memory(storage: ObjectStorage) -> None:
    bomb = gzip.compress(b"\0" * (20 * MAX_LINE_BYTES))
    put(storage, "bomb.gz", data=bomb)
    with pytest.raises(ObjectTooLarge, match="a line has more than"):
        list(storage.open_lines(ImageKey("bomb.gz")))


@pytest.mark.parametrize("cut", [slice(None, -20), slice(None, 5)], ids=["end missing", "head only"])
def test_broken_gzip_is_said_to_be_broken(storage: ObjectStorage, cut: slice) -> None:
    put(storage, "m.csv.gz", data=gzip.compress(b"a,b\n" * 10_000)[cut])
    with pytest.raises(InvalidSource, match="broken gzip"):
        list(storage.open_lines(ImageKey("m.csv.gz")))


def test_the_uri_of_a_write_leads_back_to_the_object(storage: ObjectStorage) -> None:
    if isinstance(storage, MemoryStorage):
        assert storage.write(ImageKey("a b.png"), b"1", content_type="image/png") == "memory://objects/a b.png"
        return
    for key in ("maps/a b%20c?#.png", "maps/ünï\n.png"):
        uri = storage.write(ImageKey(key), key.encode(), content_type="image/png")
        container, found = split_object_uri(uri)
        assert open_storage(container, _options(storage)).read(found) == key.encode()
        corpus = Corpus(uri, Filters(), lambda container: open_storage(container, _options(storage)))
        assert [image.size for image in corpus.entries()] == [len(key.encode())]


def test_many_threads_share_one_storage(storage: ObjectStorage) -> None:
    """All start together, so that the first use, which makes the connection, is shared too."""
    put(storage, *(f"{number}.jpg" for number in range(8)), data=b"data")
    together = threading.Barrier(8)

    def read(number: int) -> bytes:
        together.wait(timeout=30)
        return storage.read(ImageKey(f"{number}.jpg"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [b"data"] * 8


def test_a_storage_can_be_sent_to_another_process(storage: ObjectStorage) -> None:
    if isinstance(storage, MemoryStorage):
        with pytest.raises(TypeError, match="pickle"):  # it would be a copy that goes its own way
            pickle.dumps(storage)
        return
    put(storage, "x.jpg", data=b"same")
    assert pickle.loads(pickle.dumps(storage)).read("x.jpg") == b"same"


def test_no_version_is_made_up(storage: ObjectStorage) -> None:
    put(storage, "x.jpg")
    assert next(storage.list_objects()).version_id is None


def test_listing_records_are_plain(storage: ObjectStorage) -> None:
    put(storage, "x.jpg")
    (info,) = storage.list_objects()
    assert pickle.loads(pickle.dumps(info)) == info
    assert isinstance(info, ObjectInfo)
    assert info.etag is None or '"' not in info.etag


def _options(storage: ObjectStorage) -> S3Options:
    return getattr(storage, "options", S3Options())


def test_a_listing_goes_on_behind_a_key(storage: ObjectStorage) -> None:
    put(storage, "a/1.jpg", "a/2.jpg", "a/ü.jpg", "b.jpg", "c/1.jpg")
    found = keys_of(storage)
    for place, key in enumerate(found):
        assert [info.key for info in storage.list_objects("", ImageKey(key))] == found[place + 1 :]
    assert [info.key for info in storage.list_objects("a/", ImageKey("a/1.jpg"))] == ["a/2.jpg", "a/ü.jpg"]


def test_an_object_is_a_stream(storage: ObjectStorage) -> None:
    put(storage, "x.bin", data=b"0123456789")
    with storage.open(ImageKey("x.bin")) as stream:
        assert stream.read(4) == b"0123"
        assert stream.read(100) == b"456789"
        assert stream.read(1) == b""
    with pytest.raises(ObjectNotFound), storage.open(ImageKey("gone")):
        pass


@pytest.mark.s3
def test_a_long_listing_of_a_bucket_runs_over_several_ranges(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(s3_bucket.container, s3_bucket.options)
    names = [*AWKWARD_KEYS, *(f"in/{i % 3}/IMG_{i:04d} é+%20.jpg" for i in range(90))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: put(storage, key), names))
    whole = keys_of(storage)
    assert sorted(whole) == sorted(names)
    monkeypatch.setattr(s3_listing, "PAGE_KEYS", 7)
    monkeypatch.setattr(s3_listing, "HEAD_PAGES", 2)
    divided: list[int] = []
    found_early = threading.Event()
    side_by_side = s3_listing._side_by_side
    monkeypatch.setattr(s3_listing, "_side_by_side", lambda *what: divided.append(1) or side_by_side(*what))

    # the ranges are there before the second page: the list is too short to wait for them
    class Prompt(s3_listing._RangeFinder):
        def start(self, after: str) -> None:
            super().start(after)
            assert self._thread is not None
            self._thread.join()
            found_early.set()

    monkeypatch.setattr(s3_listing, "_RangeFinder", Prompt)
    assert keys_of(storage) == whole
    assert keys_of(storage, "in/") == [key for key in whole if key.startswith("in/")]
    assert [info.key for info in storage.list_objects("", ImageKey(whole[40]))] == whole[41:]
    assert divided == [1, 1, 1]
    assert found_early.is_set()


@pytest.mark.s3
@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_an_inventory_in_a_bucket_of_its_own(
    s3_server: S3Server, s3_bucket: S3Bucket, kind: str, tmp_path: Path
) -> None:
    """The manifest in one bucket, the data files in another, the images in a third."""
    delivered = s3_server.create_bucket()
    images = open_storage(s3_bucket.container, s3_bucket.options)
    put(images, "in/ä +1.jpg", "in/2.jpg", data=b"12345")
    rows = [Row(bucket=s3_bucket.name, key=key, size=5) for key in ("in/ä +1.jpg", "in/2.jpg", "in/gone.txt")]
    data_place = open_storage(delivered.container, delivered.options)
    uri = write_inventory(data_place, [rows[:1], rows[1:]], kind)
    copy = tmp_path / "manifest.json"
    copy.write_bytes(data_place.read(split_object_uri(uri)[1]))
    for source in (uri, str(copy)):
        corpus = Corpus(source, Filters(), lambda container: open_storage(container, s3_bucket.options))
        corpus.check()
        found = list(corpus.entries())
        assert [(ref.container, ref.key) for ref in found] == [
            (s3_bucket.container, "in/ä +1.jpg"),
            (s3_bucket.container, "in/2.jpg"),
        ]
        assert [images.read(ref.key, version_id=ref.version_id) for ref in found] == [b"12345"] * 2
