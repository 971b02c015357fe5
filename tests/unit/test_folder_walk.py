"""Listing a folder: which way the walk goes, what it enters, and where it goes on."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
from support.builders import keys_of

from jobs.domain import ImageKey
from jobs.errors import StorageUnavailable
from jobs.storage import FolderStorage, folder_names


def test_folder_loops_are_walked_once_with_a_warning(
    folder: Path, storage: FolderStorage, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "x.jpg").write_bytes(b"x")
    (folder / "a" / "b" / "up").symlink_to(folder / "a", target_is_directory=True)
    (folder / "itself").symlink_to(".", target_is_directory=True)
    with caplog.at_level(logging.WARNING):
        assert keys_of(storage) == ["a/b/x.jpg"]
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"skipped {folder}/a/b/up: the folder contains itself",
        f"skipped {folder}/itself: the folder contains itself",
    ]


def test_links_to_files_and_folders_elsewhere_are_followed(folder: Path, storage: FolderStorage) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "x.jpg").write_bytes(b"other")
    (folder / "link").symlink_to(other, target_is_directory=True)
    (folder / "twice").symlink_to(other, target_is_directory=True)
    (folder / "x.jpg").symlink_to(other / "x.jpg")
    assert keys_of(storage) == ["link/x.jpg", "twice/x.jpg", "x.jpg"]
    assert [storage.read(ImageKey(key)) for key in keys_of(storage)] == [b"other"] * 3


def test_a_tree_deeper_than_paths_reach_is_listed_as_far_as_it_goes(folder: Path, storage: FolderStorage) -> None:
    (folder / "top.jpg").write_bytes(b"x")
    here = os.open(folder, os.O_RDONLY)
    for _ in range(30):  # 30 x 200 characters, beyond the 4096 of a path
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert keys_of(storage)[-1] == "top.jpg"


def test_a_folder_whose_disk_fails_is_one_object_and_one_that_is_gone_none(
    folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "broken", "gone", "z"):
        (folder / name).mkdir()
        (folder / name / "x.jpg").write_bytes(b"x")
    real = os.scandir

    def scandir(path: bytes) -> object:
        codes = {b"broken": errno.EIO, b"gone": errno.ENOENT}
        if (code := codes.get(os.path.basename(path.rstrip(b"/")))) is not None:
            raise OSError(code, os.strerror(code))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert keys_of(storage) == ["a/x.jpg", "broken/", "z/x.jpg"]
    assert keys_of(storage, "br") == ["broken/"]
    with pytest.raises(StorageUnavailable, match="Input/output error"):
        storage.read(ImageKey("broken/"))


def test_listing_goes_folder_by_folder(folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (folder / str(number)).mkdir()
        (folder / str(number) / "x.jpg").write_bytes(b"x")
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))
    listing = storage.list_objects()
    assert next(listing).key == "0/x.jpg"
    assert len(listed) == 2
    assert len(list(listing)) == 4
    assert len(listed) == 6


def test_a_prefix_keeps_the_walk_out_of_other_folders(
    folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/deep", "ab", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x.jpg").write_bytes(b"x")
    entered = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: entered.append(Path(os.fsdecode(path)).name) or real(path))
    assert keys_of(storage, "a/d") == ["a/deep/x.jpg"]
    assert entered == ["corpus", "a", "deep"]


def test_a_walk_goes_on_behind_any_key_of_it(folder: Path, storage: FolderStorage) -> None:
    names = ["a-b.jpg", "a.jpg", "a/1.jpg", "a/b/2.jpg", "a/b/3.jpg", "a/b.jpg", "b/1.jpg", "z.jpg"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(folder) + b"/b/\xff.jpg")).write_bytes(b"x")
    found = keys_of(storage)
    assert len(found) == len(names) + 1
    for place, key in enumerate(found):
        assert [info.key for info in storage.list_objects("", key)] == found[place + 1 :]
    (folder / "a/b/2.jpg").unlink()
    assert next(storage.list_objects("", ImageKey("a/b/2.jpg"))).key == "a/b/3.jpg"


def test_a_folder_of_very_many_names_is_sorted_on_disk(
    folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (folder / f"{number * 7 % 50:02d}.jpg").touch()
    monkeypatch.setattr(folder_names, "IN_MEMORY", 10)
    assert keys_of(storage) == [f"{number:02d}.jpg" for number in range(50)]
    listing = storage.list_objects()
    assert next(listing).key == "00.jpg"
    listing.close()  # type: ignore[attr-defined] # left early: nothing may stay behind
