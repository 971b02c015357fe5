"""Folders as people leave them: odd names, links, pipes, closed doors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.builders import keys_of

from jobs.domain import ImageKey
from jobs.errors import (
    AccessDenied,
    ContainerNotFound,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
)
from jobs.storage import FolderStorage, parse_source


def size_of(storage: FolderStorage, key: str) -> int | None:
    sizes = {info.key: info.size for info in storage.list_objects()}
    assert storage.stat(ImageKey(key)).size == sizes[ImageKey(key)]
    return sizes[ImageKey(key)]


def test_names_that_are_not_text_are_quoted_and_lead_back(folder: Path, storage: FolderStorage) -> None:
    names = [b"caf\xe9.jpg", b"d\xff/ok.jpg", b"ok/\xed\xa0\x80.jpg", b"file-bytes:caf%E9.jpg"]
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name)
    assert keys_of(storage) == [
        "file-bytes:caf%E9.jpg",
        "file-bytes:d%FF/ok.jpg",
        "file-bytes:file-bytes%3Acaf%25E9.jpg",
        "file-bytes:ok/%ED%A0%80.jpg",
    ]
    assert sorted(storage.read(ImageKey(key)) for key in keys_of(storage)) == sorted(names)
    assert keys_of(storage, "file-bytes:ok/") == ["file-bytes:ok/%ED%A0%80.jpg"]
    assert [storage.stat(ImageKey(key)).key for key in keys_of(storage)] == keys_of(storage)


@pytest.mark.parametrize("name", [b"caf\xe9", "写 真 100%".encode(), b"a?b#c"])
def test_the_corpus_folder_may_have_any_name_too(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    os.mkdir(path)
    with open(os.path.join(path, b"x.jpg"), "wb") as file:
        file.write(b"x")
    storage = FolderStorage(parse_source(os.fsdecode(path)).container)
    assert storage.container.isascii()
    assert storage.read(ImageKey("x.jpg")) == b"x"


@pytest.mark.parametrize("target", ["gone.jpg", "x.jpg"], ids=["dangling", "itself"])
def test_a_link_to_nothing_is_listed_and_not_found(folder: Path, storage: FolderStorage, target: str) -> None:
    (folder / "x.jpg").symlink_to(target)
    assert size_of(storage, "x.jpg") is None
    with pytest.raises(ObjectNotFound, match=r"corpus/x\.jpg"):
        storage.read(ImageKey("x.jpg"))


def test_a_pipe_is_not_waited_for(folder: Path, storage: FolderStorage) -> None:
    os.mkfifo(folder / "x.jpg")
    assert size_of(storage, "x.jpg") is None
    with pytest.raises(ObjectNotFound, match="not a regular file"):
        storage.read(ImageKey("x.jpg"))
    with pytest.raises(ObjectNotFound, match="not a regular file"):
        list(storage.open_lines(ImageKey("x.jpg")))


def test_sockets_and_devices_are_not_opened(
    folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.jpg")
        (folder / "zero.jpg").symlink_to("/dev/zero")
        for key in ("s.jpg", "zero.jpg"):
            assert size_of(storage, key) is None
            with pytest.raises(ObjectNotFound, match="not a regular file"):
                storage.read(ImageKey(key))


@pytest.mark.parametrize(
    "key",
    ["../secret.txt", "a/../../secret.txt", "..", "/etc/passwd", "file-bytes:%2E%2E/secret.txt", "file-bytes:/etc"],
)
def test_a_key_cannot_climb_out_of_the_folder(folder: Path, storage: FolderStorage, key: str) -> None:
    (folder / "a").mkdir()
    (folder.parent / "secret.txt").write_text("secret")
    for attempt in (
        lambda: storage.read(ImageKey(key)),
        lambda: storage.stat(ImageKey(key)),
        lambda: list(storage.open_lines(ImageKey(key))),
        lambda: storage.write(ImageKey(key), b"", content_type="text/plain"),
    ):
        with pytest.raises(AccessDenied, match="leads out of the folder"):
            attempt()
    assert (folder.parent / "secret.txt").read_text() == "secret"


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800.jpg", "x" * 300, "a/" * 3000 + "x.jpg", "folder", "x.jpg/y.jpg"])
def test_impossible_names_are_not_found(folder: Path, storage: FolderStorage, key: str) -> None:
    (folder / "folder").mkdir()
    (folder / "x.jpg").write_bytes(b"x")
    with pytest.raises(ObjectNotFound):
        storage.read(ImageKey(key))
    with pytest.raises(ObjectNotFound):
        storage.stat(ImageKey(key))


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "gone", tmp_path / "file"):
        storage = FolderStorage.at(path)
        for attempt in (storage.check, lambda storage=storage: keys_of(storage)):
            with pytest.raises(ContainerNotFound, match=path.name):
                attempt()


def test_closed_doors_are_told_apart() -> None:
    """An unreadable file, an unreadable folder inside, an unreadable root: as a user without privileges meets them."""
    with tempfile.TemporaryDirectory() as place:  # not tmp_path: others may not even enter that
        root = Path(place)
        root.chmod(0o755)
        for name in ("open.jpg", "closed.jpg", "closed/x.jpg", "no-entry/x.jpg", "no-entry/folder/x.jpg"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(b"x")
        (root / "closed.jpg").chmod(0)
        (root / "no-entry").chmod(0o744)  # its names can be read, its files not reached
        (root / "closed").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, place], check=False, capture_output=True, text=True, timeout=60
        )
        (root / "closed").chmod(0o755)
    words = [f"cannot list {place}/{name}: Permission denied" for name in ("closed", "no-entry", "no-entry")]
    assert done.stderr.splitlines() == words
    assert done.stdout.splitlines() == [
        "closed/ AccessDenied True",
        "closed.jpg AccessDenied False",
        "no-entry/ AccessDenied True",
        "open.jpg b'x' False",
        "behind closed/ ['closed.jpg', 'no-entry/', 'open.jpg']",
        "root AccessDenied",
        "check AccessDenied",
        "write AccessDenied",
    ]


# imports first: after the change of user the interpreter's own files may be out of reach
_AS_NOBODY = """
import logging, os, sys
from jobs.errors import StorageError
from jobs.storage import FolderStorage
logging.basicConfig(format="%(message)s")
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
storage = FolderStorage.at(sys.argv[1])
def attempt(name, action, *more):
    try:
        print(name, action(), *more)
    except StorageError as error:
        print(name, type(error).__name__, *more)
for info in list(storage.list_objects()):
    attempt(info.key, lambda: storage.read(info.key), info.closed_folder)
print("behind closed/", [info.key for info in storage.list_objects("", "closed/")])
attempt("root", lambda: list(FolderStorage.at(sys.argv[1] + "/closed").list_objects()))
attempt("check", lambda: FolderStorage.at(sys.argv[1] + "/no-entry").check())
attempt("write", lambda: storage.write("closed/new.png", b"", content_type="image/png"))
"""


def test_a_folder_that_can_be_listed_again_is_to_be_submitted(folder: Path, storage: FolderStorage) -> None:
    (folder / "mended").mkdir()
    with pytest.raises(ObjectNotFound, match="submit it as a job of its own"):
        storage.read(ImageKey("mended/"))


def test_a_file_that_grows_past_the_limit_while_it_is_read_is_too_large(
    folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x.jpg").write_bytes(b"x" * 100)
    real = os.fstat

    def smaller(descriptor: int) -> os.stat_result:
        status = list(real(descriptor))
        status[6] = 10  # the size as it was a moment ago
        return os.stat_result(status)

    monkeypatch.setattr(os, "fstat", smaller)
    with pytest.raises(ObjectTooLarge):
        storage.read(ImageKey("x.jpg"), max_bytes=50)


def test_a_write_that_fails_leaves_nothing_behind(
    folder: Path, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write(ImageKey("map.png"), b"old", content_type="image/png")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        storage.write(ImageKey("map.png"), b"new", content_type="image/png")
    assert [path.name for path in folder.iterdir()] == ["map.png"]
    assert storage.read(ImageKey("map.png")) == b"old"


def test_a_folder_has_no_versions(folder: Path, storage: FolderStorage) -> None:
    (folder / "x.jpg").write_bytes(b"x")
    with pytest.raises(ObjectNotFound, match="no versions"):
        storage.read(ImageKey("x.jpg"), version_id="v1")
