"""Lists of images: every way to write one, and where a bad line is reported."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain import ImageRef
from jobs.domain.corpus import OUTSIDE_FOLDER
from jobs.errors import InvalidSource
from jobs.preparation.manifest import InvalidManifest, ManifestReader, is_manifest
from jobs.storage import FolderStorage

BUCKET = "s3://photos"
FOLDER = "file:///lists"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def read(
    text: str | bytes, *, name: str = "list.csv", container: str = BUCKET, allow_outside: bool = False
) -> list[ImageRef]:
    data = text if isinstance(text, bytes) else text.encode()
    reader = ManifestReader(f"{container}/{name}", container, allow_outside=allow_outside)
    listed = reader.read(data.splitlines(keepends=True))
    return [each.image for each in listed]


def keys(text: str | bytes, **where: str) -> list[str]:
    return [ref.key for ref in read(text, **where)]


def problem(text: str | bytes, **where: str) -> InvalidManifest:
    with pytest.raises(InvalidManifest) as raised:
        read(text, **where)
    return raised.value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", True),
        ("A.CSV", True),
        ("s3://b/x.csv.gz", True),
        ("a.jsonl", True),
        ("a.ndjson.gz", True),
        ("a.json", False),
        ("a.txt", False),
        ("csv", False),
    ],
)
def test_a_manifest_is_known_by_its_ending(name: str, expected: bool) -> None:
    assert is_manifest(name) is expected


@pytest.mark.parametrize("name", ["key", "image", "path", "file", "uri", "KEY", " Key "])
def test_the_key_column_has_several_names(name: str) -> None:
    assert keys(f"size,{name}\n5,a.jpg\n") == ["a.jpg"]


def test_all_columns() -> None:
    (ref,) = read("key,bucket,version_id,size,etag,comment\na b.jpg,other,v1,77,e1,hello\n")
    assert ref == ImageRef(container="s3://other", key="a b.jpg", size=77, etag="e1", version_id="v1")


def test_with_a_header_keys_are_taken_as_they_are_written() -> None:
    assert keys("key\na+b%20c.jpg\n") == ["a+b%20c.jpg"]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert keys(b'\xef\xbb\xbf"key"\na.jpg\n') == ["a.jpg"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends(end: str) -> None:
    assert keys(end.join(["key", "a.jpg", "", "b.jpg"])) == ["a.jpg", "b.jpg"]


def test_one_column_without_header_is_a_list_of_keys() -> None:
    assert keys("a+1.jpg\nb%202.jpg\n") == ["a+1.jpg", "b%202.jpg"]


def test_two_columns_without_header_are_bucket_and_encoded_key() -> None:
    assert [(ref.container, ref.key) for ref in read("one,a%2Fb+c.jpg\ntwo,%C3%A9.jpg\n")] == [
        ("s3://one", "a/b c.jpg"),
        ("s3://two", "é.jpg"),
    ]


def test_three_columns_without_header_end_with_the_version() -> None:
    assert [ref.version_id for ref in read("one,a.jpg,v7\none,b.jpg,\n")] == ["v7", None]


def test_more_columns_need_a_header() -> None:
    assert "4 columns and no header" in problem("a,b,c,d\n").reason


def test_a_header_without_a_key_column_is_refused() -> None:
    error = problem("\nbucket,size\none,5\n")
    assert (error.line, error.uri) == (2, "s3://photos/list.csv")
    assert "no column is named one of key, image, path, file, uri" in error.reason


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_header_with_other_separators_is_refused(separator: str, name: str) -> None:
    error = problem(f"Size{separator}Key\n5{separator}a.jpg\n")
    assert (error.line, error.reason) == (1, f"the columns are separated by {name}; write commas")
    assert keys(f"a{separator}b.jpg\n") == [f"a{separator}b.jpg"]


@pytest.mark.parametrize("text", ["", "\n\n", "key,size\n", "\ufeffkey\n"])
def test_a_list_of_nothing(text: str) -> None:
    assert read(text) == []


def test_quoted_keys_may_hold_commas_quotes_and_newlines() -> None:
    assert keys('key,size\n"a, ""b""\nc.jpg",1\nd.jpg,2\n') == ['a, "b"\nc.jpg', "d.jpg"]


def test_the_line_number_counts_lines_not_records() -> None:
    assert problem('key,size\n"a\nb\nc.jpg",1\nd.jpg,big\n').line == 5


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",5,", "there is no key in it"),
        ("a.jpg,five,", "the size 'five' is no whole number of bytes"),
        ("a.jpg,-1,", "the size '-1' is no whole number of bytes"),
        ("a.jpg,1.5,", "the size '1.5' is no whole number of bytes"),
        (f"a.jpg,{2**63},", f"the size '{2**63}' is no whole number of bytes"),
        ("a\0.jpg,5,", "the key 'a\\x00.jpg' has NUL or half a character in it"),
        ("a.jpg,5,abc/def", "'abc/def' cannot be the name of a bucket"),
        ("a.jpg,5,a b", "'a b' cannot be the name of a bucket"),
        ("s3://photos,5,", "'s3://photos' names a bucket, not an image"),
        ("s3://,5,", "there is no bucket in it"),
        ("file:///etc/passwd.png,5,", "a list in a bucket cannot name local files"),
    ],
)
def test_a_bad_line_is_named(line: str, reason: str) -> None:
    error = problem(f"key,size,bucket\ngood.jpg,5,\n{line}\n")
    assert error.line == 3
    assert reason in error.reason
    assert str(error).startswith("s3://photos/list.csv, line 3: ")


def test_text_that_is_not_utf8_is_named() -> None:
    error = problem(b"key\na.jpg\n\xff\xfe.jpg\n")
    assert (error.line, error.reason) == (3, "it is not UTF-8 text")


def test_a_field_without_end_is_refused() -> None:
    assert "it is not CSV" in problem('key\n"' + "x" * 200_000).reason


def test_json_lines() -> None:
    text = '{"key": "a.jpg", "size": 5, "etag": "e", "version_id": "v", "more": [1]}\n\n"b.jpg"\n{"Path": "c.jpg"}\n'
    refs = read(text, name="list.jsonl")
    assert refs[0] == ImageRef(container=BUCKET, key="a.jpg", size=5, etag="e", version_id="v")
    assert [ref.key for ref in refs] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is not JSON"),
        ("[1]", 'it is neither {"key": ...} nor "key"'),
        ("null", "it is neither"),
        ("{}", "there is no key in it"),
        ('{"key": null}', "there is no key in it"),
        ('{"key": 5}', "the key 5 is not text"),
        ('{"key": {"a": 1}}', "is not text"),
        ('{"key": "a.jpg", "size": 1.5}', "the size 1.5 is no whole number"),
        ('{"key": "a.jpg", "size": Infinity}', "the size inf is no whole number"),
        ('{"key": "a.jpg", "size": [1]}', "the size [1] is no whole number"),
        ('{"key": "\\ud800.jpg"}', "has NUL or half a character in it"),
        ('{"key": "a.jpg", "etag": "\\u0000"}', "the etag '\\x00' has NUL"),
        ('{"key": "a.jpg", "version_id": "\\udfff"}', "the version_id '\\udfff' has NUL or half"),
        ('{"key": "a.jpg", "bucket": "\\ud800x"}', "the bucket"),
    ],
)
def test_a_bad_json_line_is_named(line: str, reason: str) -> None:
    error = problem(f'"good.jpg"\n{line}\n', name="list.jsonl")
    assert error.line == 2
    assert reason in error.reason


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_any_key_survives_csv_with_a_header(written: list[str]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["key", "etag"], *([f"k/{key}", "e"] for key in written)])
    lines = buffer.getvalue().encode().split(b"\n")
    read_back = ManifestReader("s3://photos/l.csv", BUCKET).read(line + b"\n" for line in lines)
    assert [listed.image.key for listed in read_back] == [f"k/{key}" for key in written]


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_any_key_survives_json_lines(written: list[str]) -> None:
    text = "".join(json.dumps({"key": f"k/{key}"}) + "\n" for key in written)
    assert keys(text, name="l.jsonl") == [f"k/{key}" for key in written]


def test_full_addresses_in_the_key_column() -> None:
    refs = read("uri\ns3://other/a%20b.jpg\nplain.jpg\n")
    assert [(ref.container, ref.key) for ref in refs] == [("s3://other", "a%20b.jpg"), (BUCKET, "plain.jpg")]


def test_an_absolute_path_means_itself_in_a_local_list_and_a_key_in_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "it is there.jpg").touch()
    container = FolderStorage.at(tmp_path).container
    lines = [str(tmp_path / "it is there.jpg"), str(tmp_path / "gone 100%.jpg"), f"{container}/gone%20too.jpg"]
    text = "path\n" + "\n".join(lines)
    # Found 14: was read, where ../x.jpg was refused
    assert problem(text, container=FOLDER).reason.endswith(OUTSIDE_FOLDER)
    refs = read(text, container=FOLDER, allow_outside=True)
    assert refs == read(text, container=container), "its own folder needs no permission"
    assert [(ref.container, ref.key) for ref in refs] == [
        (container, "it is there.jpg"),
        (container, "gone 100%.jpg"),
        (container, "gone too.jpg"),
    ]
    assert [(ref.container, ref.key) for ref in read("key\n/a/b.jpg\n")] == [(BUCKET, "/a/b.jpg")]


@pytest.mark.parametrize("path", ["../x.jpg", "sub/../../x.jpg", "/x.jpg", "file:///x.jpg", "/photos2/x.jpg"])
def test_what_lies_outside_the_folder_of_the_list_has_to_be_allowed(path: str) -> None:
    assert "outside" in problem(f"path\n{path}\n", container="file:///photos").reason
    (ref,) = read(f"path\n{path}\n", container="file:///photos", allow_outside=True)
    assert ref.uri in ("file:///x.jpg", "file:///photos2/x.jpg")
    (inside,) = read("path\nsub/../x.jpg\n", container="file:///photos")
    assert inside.uri == "file:///photos/x.jpg"


def test_the_root_folder_is_no_image() -> None:
    assert problem("path\n/\n", container=FOLDER).line == 2


def test_relative_paths_are_below_the_folder_of_the_list() -> None:
    assert [(ref.container, ref.key) for ref in read("path\na/b c.jpg\n", container=FOLDER)] == [(FOLDER, "a/b c.jpg")]


def test_a_local_list_may_name_objects_in_buckets() -> None:
    assert [ref.container for ref in read("key,bucket\na.jpg,photos\n", container=FOLDER)] == [BUCKET]


def test_gzip_through_a_storage(tmp_path: Path) -> None:
    storage = FolderStorage.at(tmp_path)
    (tmp_path / "l.csv.gz").write_bytes(gzip.compress(b"key\na.jpg\n"))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"key\na.jpg\n" * 1000)[:-9])
    reader = ManifestReader("l.csv.gz", storage.container)
    assert [listed.image.key for listed in reader.read(storage.open_lines("l.csv.gz"))] == ["a.jpg"]
    with pytest.raises(InvalidSource, match="broken gzip"):
        list(reader.read(storage.open_lines("cut.csv.gz")))
