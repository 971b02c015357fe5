"""S3 Inventories: what they say is taken as it is meant, and what is wrong with them is told."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from datetime import datetime

import pytest
from support.builders import CONTAINER
from support.inventories import Row, write_inventory

from jobs.domain import Filters, ImageKey, ImageRef
from jobs.errors import InvalidInventory, ObjectNotFound
from jobs.preparation.corpus import Corpus
from jobs.preparation.inventory import is_inventory
from jobs.testing import MemoryStorage

DELIVERED = "s3://inventories"
EVERYTHING = Filters(suffixes=())
AWKWARD = ["a b.jpg", "a+b.jpg", "per%41cent.jpg", "ünï/写真.jpg", 'quo"te,comma.jpg', "new\nline.jpg", "a&b=c?.jpg"]
KINDS = pytest.mark.parametrize("kind", ["CSV", "Parquet"])


class Place:
    """The bucket inventories are delivered to."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(DELIVERED)
        self.opened: list[str] = []
        self.problems: list[tuple[int, str]] = []

    def open(self, container: str) -> MemoryStorage:
        self.opened.append(container)
        return self.storage

    def corpus(
        self, parts: Sequence[Sequence[Row]], kind: str = "CSV", filters: Filters = EVERYTHING, **changes: object
    ) -> Corpus:
        uri = write_inventory(self.storage, parts, kind, **changes)
        return Corpus(uri, filters, self.open, on_problem=lambda line, reason: self.problems.append((line, reason)))

    def images(self, *args: object, **named: object) -> list[ImageRef]:
        return list(self.corpus(*args, **named).entries())  # type: ignore[arg-type]


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s3://inv/x/manifest.json", True),
        ("manifest.json", True),
        ("/a/manifest.json", True),
        ("a/other-manifest.json", False),
        ("s3://inv/manifest.json/", False),
        ("s3://inv/manifest.csv", False),
    ],
)
def test_an_inventory_is_known_by_the_name_of_its_manifest(name: str, expected: bool) -> None:
    assert is_inventory(name) is expected


@KINDS
def test_rows_become_images_in_their_order(place: Place, kind: str) -> None:
    rows = [Row(key=key, version_id=f"v{i}", size=i, etag=f"e{i}") for i, key in enumerate(AWKWARD)]
    found = place.images([rows[:3], rows[3:]], kind)
    assert found == [
        ImageRef(container=CONTAINER, key=ImageKey(key), version_id=f"v{i}", size=i, etag=f"e{i}")
        for i, key in enumerate(AWKWARD)
    ]
    assert place.problems == []
    assert place.opened == [DELIVERED] * len(place.opened)


@KINDS
def test_older_versions_and_deleted_objects_are_left_out(place: Place, kind: str) -> None:
    rows = [
        Row(key="old.jpg", version_id="1", is_latest=False),
        Row(key="old.jpg", version_id="2"),
        Row(key="gone.jpg", version_id="3", is_delete_marker=True, size=None, etag=None),
        Row(key="null.jpg"),
        Row(key="folder/", size=0),
        Row(key="unknown.jpg", size=None, etag=None),
    ]
    corpus = place.corpus([rows], kind)
    found = [(image.key, image.version_id, image.size) for image in corpus.entries()]
    assert found == [("old.jpg", "2", 10), ("null.jpg", None, 10), ("unknown.jpg", None, None)]
    assert (corpus.seen, corpus.ignored) == (6, 3)


@KINDS
def test_filters_know_size_and_time(place: Place, kind: str) -> None:
    rows = [
        Row(key="small.jpg", size=1),
        Row(key="early.jpg", modified="2026-01-01T00:00:00.000Z"),
        Row(key="good.jpg", modified="2026-05-17T10:00:00.000Z"),
        Row(key="late.jpg", modified="2026-12-01T00:00:00.000Z"),
        Row(key="notes.txt"),
    ]
    filters = Filters(
        min_bytes=5,
        modified_after=datetime.fromisoformat("2026-05-17T10:00:00Z").timestamp(),
        modified_before=datetime.fromisoformat("2026-06-01T00:00:00Z").timestamp(),
    )
    assert [image.key for image in place.images([rows], kind, filters)] == ["good.jpg"]


def test_a_schema_with_fewer_columns_is_enough(place: Place) -> None:
    data = gzip.compress(b'"photos","a%20b.jpg"\n"photos","b.jpg"\n')
    place.storage.write(ImageKey("inv/data/x.csv.gz"), data, content_type="")
    files = [{"key": "inv/data/x.csv.gz", "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest().upper()}]
    found = place.images([], files=files, fileSchema="Bucket,Key")
    assert [image.key for image in found] == ["a b.jpg", "b.jpg"]


def test_a_delivered_inventory_may_lie_elsewhere_meanwhile(place: Place) -> None:
    """Without a destinationBucket the data files are beside the manifest."""
    assert len(place.images([[Row(key="a.jpg")]], destinationBucket=None)) == 1


@KINDS
def test_a_data_file_that_was_changed_is_refused(place: Place, kind: str) -> None:
    corpus = place.corpus([[Row(key="a.jpg")], [Row(key="b.jpg")]], kind)
    key = ImageKey(f"inv/data/1.{'csv.gz' if kind == 'CSV' else 'parquet'}")
    place.storage.write(key, place.storage.read(key)[:-1], content_type="")
    entries = corpus.entries()
    assert next(entries).key == "a.jpg"
    with pytest.raises(
        InvalidInventory, match=rf"{DELIVERED}/{key}: its MD5 is .*, the manifest says .*changed or cut"
    ):
        next(entries)


def test_a_data_file_that_is_not_there(place: Place) -> None:
    files = [{"key": "inv/data/none.csv.gz", "size": 1, "MD5checksum": "0" * 32}]
    with pytest.raises(ObjectNotFound, match=r"none\.csv\.gz"):
        place.images([], files=files)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fileFormat": "ORC"}, "its format is ORC; set the inventory to CSV or Apache Parquet"),
        ({"fileFormat": None}, "its format is NONE"),
        ({"fileSchema": "Bucket, Size"}, "has no Bucket and Key"),
        ({"fileSchema": None}, "has no Bucket and Key"),
        ({"files": [{"key": "x"}]}, "has no 'key' and 'MD5checksum'"),
        ({"files": "x"}, "has no 'key' and 'MD5checksum'"),
        ({"destinationBucket": "arn:aws:s3:::no bucket"}, "its destinationBucket: 'no bucket' cannot be the name"),
    ],
)
def test_a_manifest_that_cannot_be_used(place: Place, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInventory, match=words):
        place.images([[Row(key="a.jpg")]], **changes)


@pytest.mark.parametrize(
    ("document", "words"),
    [(b"{", "it is not JSON"), (b"[]", "it has no 'fileFormat'"), (b"{}", "it has no 'fileFormat'")],
)
def test_another_document_of_that_name_is_refused(place: Place, document: bytes, words: str) -> None:
    place.storage.write(ImageKey("manifest.json"), document, content_type="")
    with pytest.raises(InvalidInventory, match=words):
        list(Corpus(f"{DELIVERED}/manifest.json", Filters(), place.open).entries())


@KINDS
def test_a_data_file_of_another_kind_is_refused(place: Place, kind: str) -> None:
    data = b"neither this nor that"
    place.storage.write(ImageKey("x"), data, content_type="")
    files = [{"key": "x", "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest()}]
    if kind == "Parquet":
        with pytest.raises(InvalidInventory, match="it is not Parquet"):
            place.images([], kind, files=files)
    else:
        assert place.images([], kind, files=files) == []
        assert place.problems == [(1, f"{DELIVERED}/x, row 1: it has 1 columns, the schema 9")]


def test_bad_rows_are_told_with_file_and_number(place: Place) -> None:
    rows = [Row(key="a.jpg"), Row(key="", size=1), Row(key="b.jpg", bucket="no bucket"), Row(key="a\0.jpg")]
    found = place.images([rows, [Row(key="c.jpg"), Row(key="d.jpg", modified="soon")]])
    assert [image.key for image in found] == ["a.jpg", "c.jpg"]
    assert [line for line, _ in place.problems] == [2, 3, 4, 6]
    reasons = [reason for _, reason in place.problems]
    assert reasons[0] == f"{DELIVERED}/inv/data/0.csv.gz, row 2: it has no bucket or no key"
    assert reasons[3].startswith(f"{DELIVERED}/inv/data/1.csv.gz, row 2: the time 'soon' is not ISO 8601")


def test_reading_goes_on_behind_a_place(place: Place) -> None:
    files = [[Row(key=f"{i}-{j}.jpg") for j in range(5)] for i in range(3)]
    corpus = place.corpus(files)
    entries = corpus.entries()
    first = [next(entries).key for _ in range(7)]
    cursor = corpus.cursor
    assert cursor is not None
    assert corpus.fits(cursor)
    again = place.corpus(files)
    rest = [image.key for image in again.entries(cursor)]
    assert first + rest == [f"{i}-{j}.jpg" for i in range(3) for j in range(5)]
    assert (again.seen, again.ignored) == (15, 0)
    changed = place.corpus(files[:2])
    assert not changed.fits(cursor)
