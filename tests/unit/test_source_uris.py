"""What people type as a source."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidSource
from jobs.storage import FolderStorage, S3Options, S3Storage, open_storage, parse_source, split_object_uri
from jobs.storage.folder_keys import key_of, path_of


@pytest.mark.parametrize(
    ("source", "container", "prefix"),
    [
        ("s3://bucket", "s3://bucket", ""),
        ("s3://bucket/", "s3://bucket", ""),
        ("S3://bucket/a", "s3://bucket", "a"),
        ("s3://bucket/a/b c?d#e%20f/", "s3://bucket", "a/b c?d#e%20f/"),
        ("s3://bucket//lead", "s3://bucket", "/lead"),
        ("s3://my.bucket-1_X/a", "s3://my.bucket-1_X", "a"),
    ],
)
def test_s3_sources(source: str, container: str, prefix: str) -> None:
    parsed = parse_source(source)
    assert (parsed.container, parsed.prefix, parsed.single_key) == (container, prefix, None)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("http://host/x.jpg", "http:// is not supported"),
        ("gs://bucket/a", "gs:// is not supported"),
        ("s3://", "no bucket"),
        ("s3:///key", "no bucket"),
        ("s3:/bucket/a", "two slashes"),
        ("s3:bucket", "two slashes"),
        ("s3://a", "'a' cannot be the name of a bucket"),
        ("s3://a b/c", "cannot be the name of a bucket"),
        ("s3://-bucket", "cannot be the name of a bucket"),
        ("s3://buc..ket/c", "cannot be the name of a bucket"),
        ("s3://bucket\n/c", "cannot be the name of a bucket"),
        ("file://host/path", "three slashes"),
        ("file://", "three slashes"),
        ("file:///a%00b", "NUL"),
        ("a\0b", "NUL"),
    ],
)
def test_what_cannot_be_a_source_is_explained(source: str, reason: str) -> None:
    with pytest.raises(InvalidSource, match=reason):
        parse_source(source)


def test_local_paths_relative_absolute_and_as_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my photos"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    expected = folder.as_uri()
    for source in ("my photos", "./my photos/", "my photos/../my photos", str(folder), folder.as_uri()):
        assert parse_source(source).container == expected
    assert parse_source(f"file://localhost{folder}").container == expected
    assert parse_source(".").container == tmp_path.as_uri()


def test_a_file_is_its_folder_and_a_key(tmp_path: Path) -> None:
    (tmp_path / "a b.jpg").write_bytes(b"x")
    for source in (str(tmp_path / "a b.jpg"), (tmp_path / "a b.jpg").as_uri()):
        parsed = parse_source(source)
        assert (parsed.container, parsed.prefix, parsed.single_key) == (tmp_path.as_uri(), "", "a b.jpg")


def test_a_path_that_is_not_there_is_taken_for_a_folder(tmp_path: Path) -> None:
    assert parse_source(str(tmp_path / "gone.jpg")).container == (tmp_path / "gone.jpg").as_uri()


def test_an_existing_path_wins_over_the_guess_at_a_slip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:bucket").mkdir()
    assert parse_source("s3:bucket").container == (tmp_path / "s3:bucket").as_uri()


def test_containers_open_their_own_kind_of_storage() -> None:
    options = S3Options(endpoint_url="http://127.0.0.1:1")
    assert open_storage("s3://bucket", options) == S3Storage("s3://bucket", options)
    assert open_storage("file:///a", options) == FolderStorage("file:///a")
    for other in ("/a", "https://host/a", "bucket"):
        with pytest.raises(InvalidSource, match="a container is"):
            open_storage(other, options)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "file:///", "file:///folder/", "x.png", "http://h/x"])
def test_a_container_is_not_an_object(uri: str) -> None:
    with pytest.raises(InvalidSource, match="does not name an object"):
        split_object_uri(uri)


@given(st.binary(min_size=1).filter(lambda raw: b"\0" not in raw and b".." not in raw and not raw.startswith(b"/")))
def test_every_name_has_a_key_that_leads_back(relative: bytes) -> None:
    key = key_of(relative)
    assert key.encode("utf-8")  # text that a database takes
    assert path_of(b"/root", key) == b"/root/" + relative


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_no_two_names_share_a_key(one: bytes, other: bytes) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
