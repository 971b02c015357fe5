"""What a source with its filters holds: listings, single files, lists."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.builders import CONTAINER, fill

from jobs.domain import Filters, ImageKey, ObjectInfo
from jobs.domain.places import Places
from jobs.errors import AccessDenied, ContainerNotFound, InvalidSource, ObjectNotFound
from jobs.preparation.corpus import Corpus
from jobs.preparation.manifest import InvalidManifest
from jobs.storage import FolderStorage, MemoryStorage, ObjectStorage

EVERYTHING = Filters(suffixes=())


def bucket(*keys: str, **files: str) -> MemoryStorage:
    storage = MemoryStorage(CONTAINER)
    fill(storage, ((key, b"x" * (1 + i)) for i, key in enumerate(keys)))
    fill(storage, ((name.replace("_", "."), text.encode()) for name, text in files.items()))
    return storage


def corpus(storage: ObjectStorage, source: str = f"{CONTAINER}/", filters: Filters | None = None) -> Corpus:
    return Corpus(source, filters or Filters(), lambda container: storage)


def keys(found: Corpus) -> list[str]:
    return [ref.key for ref in found.entries()]


def test_images_below_the_prefix_are_taken_and_the_rest_is_counted() -> None:
    found = corpus(bucket("a/1.jpg", "a/2.PNG", "a/readme.txt", "b/3.jpg"), f"{CONTAINER}/a")
    assert keys(found) == ["a/1.jpg", "a/2.PNG"]
    assert (found.seen, found.ignored) == (3, 1)


def test_reading_again_counts_afresh() -> None:
    found = corpus(bucket("1.jpg", "2.txt"))
    assert keys(found) == keys(found) == ["1.jpg"]
    assert (found.seen, found.ignored) == (2, 1)


def test_an_entry_says_which_bytes_are_meant() -> None:
    storage = bucket("1.jpg")
    (ref,) = corpus(storage).entries()
    info = storage.stat(ImageKey("1.jpg"))
    assert (ref.container, ref.size, ref.etag) == (CONTAINER, 1, info.etag)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["x/a.jpg", "x/b.JPG", "y/c.png"]),
        (Filters(suffixes=(".JPG",)), ["x/a.jpg", "x/b.JPG"]),
        (EVERYTHING, ["x/a.jpg", "x/b.JPG", "x/n.txt", "y/c.png"]),
        (Filters(contains="x/"), ["x/a.jpg", "x/b.JPG"]),
        (Filters(min_bytes=2, max_bytes=4), ["x/b.JPG", "y/c.png"]),
        (Filters(modified_after=1.0), ["y/c.png"]),
        (Filters(modified_before=0.5), ["x/a.jpg", "x/b.JPG"]),
    ],
)
def test_filters(filters: Filters, expected: list[str]) -> None:
    storage = bucket("x/a.jpg", "x/b.JPG", "x/n.txt")
    storage.now = 1.0
    storage.write(ImageKey("y/c.png"), b"1234", content_type="image/png")
    assert keys(corpus(storage, filters=filters)) == expected


def test_a_bound_on_what_the_listing_does_not_say_is_not_applied() -> None:
    unknown = ObjectInfo(key=ImageKey("a.jpg"))
    assert Filters(min_bytes=10, max_bytes=20, modified_after=5, modified_before=6).accept(unknown)


def test_a_folder_that_cannot_be_listed_passes_every_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("broken/a.jpg", "fine/a.jpg", "fine/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"broken"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    strict = Filters(suffixes=(".jpg",), contains="a", max_bytes=10, modified_before=4e9)
    found = corpus(FolderStorage.at(tmp_path), str(tmp_path), strict)
    assert keys(found) == ["broken/", "fine/a.jpg"]
    assert (found.seen, found.ignored) == (3, 1)
    next(found.entries())
    assert [ref.key for ref in found.entries(found.cursor)] == ["fine/a.jpg"]


def test_every_object_looked_at_is_reported() -> None:
    looked_at = []
    found = Corpus(
        f"{CONTAINER}/",
        Filters(),
        lambda container: bucket("1.jpg", "2.txt", "3.txt"),
        on_object=lambda: looked_at.append(1),
    )
    assert keys(found) == ["1.jpg"]
    assert len(looked_at) == 3


def test_a_list_is_followed_in_its_order_without_what_was_named_before() -> None:
    storage = bucket(list_csv="key\nb.jpg\na.jpg\nnotes.txt\nb.jpg\nother.jpg\n")
    found = corpus(storage, f"{CONTAINER}/list.csv")
    assert keys(found) == ["b.jpg", "a.jpg", "other.jpg"]
    assert (found.seen, found.ignored) == (5, 2)


def test_a_bad_line_ends_the_reading_where_it_stands() -> None:
    storage = bucket(list_jsonl='"a.jpg"\n{"key": 1}\n"b.jpg"\n')
    entries = corpus(storage, f"{CONTAINER}/list.jsonl").entries()
    assert next(entries).key == "a.jpg"
    with pytest.raises(InvalidManifest, match="line 2"):
        next(entries)


def test_a_list_that_is_not_there() -> None:
    with pytest.raises(ObjectNotFound):
        keys(corpus(bucket(), f"{CONTAINER}/list.csv"))


def test_one_file(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").touch()
    (tmp_path / "two.jpg").touch()
    found = corpus(FolderStorage.at(tmp_path), str(tmp_path / "one.jpg"))
    found.check()
    assert keys(found) == ["one.jpg"]


def test_one_file_that_is_no_image_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    storage = FolderStorage.at(tmp_path)
    with pytest.raises(InvalidSource, match=r"does not end with one of \.jpg, .*manifest ending with \.csv"):
        Corpus(str(tmp_path / "notes.txt"), Filters(), lambda container: storage).check()
    Corpus(str(tmp_path / "notes.txt"), EVERYTHING, lambda container: storage).check()


def test_a_folder_named_like_a_list_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "export.csv"
    folder.mkdir()
    (folder / "a.jpg").touch()
    assert keys(corpus(FolderStorage.at(folder), str(folder))) == ["a.jpg"]


def test_a_local_list_names_files_beside_it_and_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.jpg").write_bytes(b"here")
    (tmp_path / "elsewhere" / "b c.jpg").write_bytes(b"there")
    lines = ["a.jpg", str(tmp_path / "elsewhere" / "b c.jpg"), str(tmp_path / "lists" / "a.jpg")]
    (tmp_path / "lists" / "l.csv").write_text("path\n" + "\n".join(lines))
    found = Corpus(str(tmp_path / "lists" / "l.csv"), Filters(), FolderStorage, allow_outside=True)
    found.check()
    assert [FolderStorage(ref.container).read(ref.key) for ref in found.entries()] == [b"here", b"there"]
    assert found.ignored == 1


def test_one_file_as_a_source_is_that_file_alone(tmp_path: Path) -> None:
    for name in ("x.jpg", "x.jpg.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert keys(Corpus(str(tmp_path / "x.jpg"), Filters(), FolderStorage)) == ["x.jpg"]


def test_a_list_that_leads_nowhere_shows_at_the_check(tmp_path: Path) -> None:
    (tmp_path / "list.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(ObjectNotFound, match="No such file"):
        corpus(FolderStorage(tmp_path.as_uri()), (tmp_path / "list.csv").as_uri()).check()


def test_a_folder_that_is_not_there_shows_at_the_check(tmp_path: Path) -> None:
    with pytest.raises(ContainerNotFound):
        corpus(FolderStorage.at(tmp_path / "gone"), str(tmp_path / "gone")).check()


def test_credentials_need_no_more_than_the_prefix() -> None:
    class OnlyBelow(MemoryStorage):
        def check(self, prefix: str = "", *, root: str | None = None) -> None:
            if not prefix.startswith("mine/"):
                raise AccessDenied(self.container, "no")

    corpus(OnlyBelow(CONTAINER), f"{CONTAINER}/mine/").check()
    with pytest.raises(AccessDenied):
        corpus(OnlyBelow(CONTAINER), f"{CONTAINER}/").check()


def test_names_that_are_not_text_are_entries_like_others(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"odd")
    storage = FolderStorage.at(tmp_path)
    (ref,) = corpus(storage, str(tmp_path)).entries()
    assert storage.read(ref.key) == b"odd"
    ref.key.encode()  # no half characters in it


def test_nothing_outside_the_places_of_its_project_is_read() -> None:
    storage = bucket("a/1.jpg", "ab/2.jpg", list_csv="bucket,key\nphotos,a/1.jpg\nother,a/1.jpg\n")
    inside = Places((f"{CONTAINER}/a",))

    def within(source: str, places: Places = inside) -> Corpus:
        return Corpus(source, Filters(), lambda container: storage, places=places)

    within(f"{CONTAINER}/a/").check()
    assert keys(within(f"{CONTAINER}/a/")) == ["a/1.jpg"]
    for source in (f"{CONTAINER}/", f"{CONTAINER}/b", f"{CONTAINER}/ab/", f"{CONTAINER}/list.csv", "s3://other/a"):
        with pytest.raises(InvalidSource, match="in no place of its project"):
            within(source).check()
    with pytest.raises(InvalidSource, match=r"ab/2\.jpg is in no place"):
        keys(within(f"{CONTAINER}/a"))  # a prefix that lists more than the place
    listed = Places((f"{CONTAINER}/list.csv", f"{CONTAINER}/a"))
    with pytest.raises(InvalidSource, match=r"s3://other/a/1\.jpg is in no place"):
        keys(within(f"{CONTAINER}/list.csv", listed))
