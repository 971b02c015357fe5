"""Files are read as they were frozen, or the image has changed; and a folder that goes away takes no image with it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.builders import lease, picture
from support.scene import SMALL, codes

from jobs.domain import Filters, ImageRef, Verdict
from jobs.errors import ErrorCode, ObjectChanged, ObjectNotFound, StorageAway, StorageUnavailable
from jobs.preparation.corpus import Corpus
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.shard_screener import ShardScreener
from jobs.shards.entries import pack_entries, unpack_entries
from jobs.storage import FolderStorage, MemoryStorage, S3Options, open_storage
from jobs.storage import folder as folder_module
from jobs.storage.folder_stamps import same_identity, same_stamp
from jobs.testing import MemoryScorer


def opened(container: str) -> FolderStorage:
    storage = open_storage(container, S3Options())
    assert isinstance(storage, FolderStorage)
    return storage


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(picture(number))
    return folder


def frozen(source: Path) -> list[ImageRef]:
    """As they come out of the database."""
    return list(unpack_entries(pack_entries(list(Corpus(str(source), Filters(), opened).entries()))))


def screen(images: list[ImageRef], **fields: object) -> list[Verdict]:
    with ShardScreener(
        open_storage=opened,
        scorer=MemoryScorer(),
        heatmaps=StoredHeatmaps(MemoryStorage()),
        keep_heatmap=lambda flagged: False,
        limits=SMALL,
    ) as screener:
        return screener.screen(lease(images, **fields))


def fetch(image: ImageRef) -> bytes:
    return opened(image.container).fetch(image).data


def keep_time(path: Path, at: os.stat_result) -> None:
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))


def overwrite(path: Path) -> None:
    path.write_bytes(picture(77))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def replace_with_same_time(path: Path) -> None:
    before = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(picture(77))
    keep_time(other, before)
    other.rename(path)


def grow(path: Path) -> None:
    before = path.stat()
    with path.open("ab") as file:
        file.write(b"more")
    keep_time(path, before)


@pytest.mark.parametrize("change", [overwrite, replace_with_same_time, grow])
def test_a_file_that_was_swapped_has_changed(photos: Path, change: object) -> None:
    """By its time, its inode, its size."""
    images = frozen(photos)
    assert fetch(images[2]) == picture(2)
    change(photos / "2.png")  # type: ignore[operator]
    with pytest.raises(ObjectChanged):
        fetch(images[2])
    verdicts = screen(images)
    assert codes(verdicts) == [None, None, "changed", None, None, None]
    assert verdicts[2].sha256 is None


def test_what_does_not_touch_the_bytes_is_no_change(photos: Path) -> None:
    images = frozen(photos)
    (photos / "0.png").chmod(0o600)
    os.link(photos / "1.png", photos / "another name")
    (photos / "new.png").write_bytes(picture(9))
    assert codes(screen(images)) == [None] * 6


def test_a_file_that_is_written_to_while_it_is_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = frozen(photos)
    whole = folder_module._read_bounded

    def slow(file: object, uri: str, max_bytes: int | None) -> bytes:
        data: bytes = whole(file, uri, max_bytes)  # type: ignore[arg-type]
        overwrite(photos / "0.png")
        return data

    monkeypatch.setattr(folder_module, "_read_bounded", slow)
    with pytest.raises(ObjectChanged, match="while it was read"):
        fetch(images[0])
    with pytest.raises(StorageUnavailable, match="while it was read"):  # nobody froze it: read again, it is whole
        fetch(replace(images[0], stamp=None))


def test_a_list_freezes_what_it_says(photos: Path) -> None:
    size = len(picture(0))
    (photos / "list.csv").write_text(f'key,size,etag\n0.png,{size},"e"\n1.png,{size + 1},\n')
    verdicts = screen(frozen(photos / "list.csv"))
    assert codes(verdicts) == [None, "changed"]
    assert verdicts[0].etag is None, "a file has none, whatever a list says"


# -- folders that go away


def empty_mount_point(photos: Path) -> Path:
    """What is left where a mount was."""
    away = photos.rename(photos.with_name("away"))
    photos.mkdir()
    return away


def nothing_at_all(photos: Path) -> Path:
    return photos.rename(photos.with_name("away"))


def other_files(photos: Path) -> Path:
    away = empty_mount_point(photos)
    (photos / "0.png").write_bytes(picture(50))
    return away


@pytest.mark.parametrize("go_away", [empty_mount_point, nothing_at_all, other_files])
def test_while_the_folder_is_away_no_image_is_missing(photos: Path, go_away: object) -> None:
    """Found 4: a folder that was empty for 2.5 s cost 256 of 600 images their verdict."""
    images = frozen(photos)
    away: Path = go_away(photos)  # type: ignore[operator]
    with pytest.raises(StorageAway):
        screen(images)
    for path in photos.glob("*"):
        path.unlink()
    if photos.exists():
        photos.rmdir()
    away.rename(photos)
    assert codes(screen(images)) == [None] * 6


def test_a_folder_that_was_emptied_for_a_moment(photos: Path, tmp_path: Path) -> None:
    images = frozen(photos)
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in photos.iterdir():
        path.rename(aside / path.name)
    with pytest.raises(StorageAway, match="empty"):
        screen(images)
    for path in aside.iterdir():
        path.rename(photos / path.name)
    assert codes(screen(images)) == [None] * 6


def test_one_image_that_is_missing_while_the_folder_is_there_is_not_found(photos: Path) -> None:
    images = frozen(photos)
    (photos / "3.png").unlink()
    assert codes(screen(images)) == [None, None, None, "not_found", None, None]
    with pytest.raises(ObjectNotFound):
        fetch(images[3])


def test_the_last_attempt_keeps_what_it_got(photos: Path) -> None:
    images = frozen(photos)
    empty_mount_point(photos)
    assert codes(screen(images, attempt=3)) == [ErrorCode.TIMEOUT] * 6


def test_images_of_a_list_wait_for_their_folder_too(photos: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text("key\n" + "".join(f"{photos}/{number}.png\n" for number in range(6)))
    images = frozen(listed)
    empty_mount_point(photos)
    with pytest.raises(StorageAway):
        screen(images)


@pytest.mark.parametrize("go_away", [empty_mount_point, nothing_at_all])
def test_a_folder_that_goes_away_while_it_is_listed(photos: Path, go_away: object) -> None:
    for name in ("b", "c"):
        (photos / name).mkdir()
        (photos / name / "x.png").write_bytes(picture(1))
    corpus = Corpus(str(photos), Filters(), opened)
    entries = corpus.entries()
    for _ in range(6):
        next(entries)
    cursor = corpus.cursor
    assert cursor is not None
    away: Path = go_away(photos)  # type: ignore[operator]
    with pytest.raises(StorageUnavailable):
        list(entries)
    again = Corpus(str(photos), Filters(), opened)
    if photos.exists():
        with pytest.raises(StorageUnavailable):
            list(again.entries(cursor))
        photos.rmdir()
    away.rename(photos)
    assert [image.key for image in again.entries(cursor)] == ["b/x.png", "c/x.png"]


def test_devices_compare_on_one_machine_only() -> None:
    assert same_identity("m/5/2", "m/5/2")
    assert not same_identity("m/5/2", "m/6/2"), "another disk, whose root has the same inode"
    assert not same_identity("m/5/2", "m/5/3")
    assert same_identity("m/5/2", "n/6/2"), "the same share on another node"
    assert not same_identity("m/5/2", "n/6/3")
    assert same_identity("m/-/1", "m/7/1")


def test_inodes_compare_where_they_are_stable() -> None:
    assert same_stamp("5/-", "5/9")
    assert not same_stamp("5/-", "6/9")
    assert not same_stamp("5/8", "5/9")


def test_shards_of_older_programs_can_be_read() -> None:
    import json
    import zlib

    rows = [[0, "a.png", 5, None, None]]
    packed = zlib.compress(json.dumps({"containers": ["file:///p"], "rows": rows}).encode())
    (image,) = unpack_entries(packed)
    assert (image.key, image.stamp, image.root) == ("a.png", None, None)
