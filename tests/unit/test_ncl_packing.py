"""PACKs: the same bytes each time, and nothing lost on the way."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.data_sets import (
    make_authentic,
    make_casia2,
    make_columbia,
    make_indexed,
    make_nist16,
    save_photo,
    tampered_pixels,
)

from ncl_model.data import unpacking
from ncl_model.data.datasets import find_sources, read_source, split_by_group
from ncl_model.data.packing import pack
from ncl_model.data.sample import Sample
from ncl_model.data.unpacking import unpack
from ncl_model.errors import DatasetInvalid
from ncl_model.training.material import Material


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """One of each kind of source, with every colour of mask."""
    return [
        make_indexed(tmp_path / "data/people"),
        make_authentic(tmp_path / "data/drawn"),
        make_nist16(tmp_path / "data/nist"),
        make_columbia(tmp_path / "data/columbia"),
        make_casia2(tmp_path / "data/casia"),
    ]


@pytest.fixture
def packed(sources: list[Path], tmp_path: Path) -> Path:
    pack(find_sources(sources), tmp_path / "PACK")
    return tmp_path / "PACK"


def content(sample: Sample) -> tuple[object, ...]:
    """What a sample says and holds, wherever its files lie."""
    files = [path and path.read_bytes() for path in (sample.image, sample.mask, sample.regions)]
    return (sample.group, sample.tampered_colour, *files)


def stored_bytes(shard: Path) -> int:
    with tarfile.open(shard) as archive:
        return sum(member.size for member in archive)


def test_a_pack_is_read_as_what_was_packed(sources: list[Path], packed: Path, tmp_path: Path) -> None:
    before = [sample for source in sources for sample in read_source(source)]
    after = read_source(packed, work=tmp_path / "work")
    assert list(map(content, after)) == list(map(content, before))
    for old, new in zip(before, after, strict=True):
        if old.mask is not None:
            np.testing.assert_array_equal(tampered_pixels(new), tampered_pixels(old))
    names = [source.name for source in find_sources([packed], work=tmp_path / "work")]
    assert names == ["01-data-people", "02-data-drawn", "03-data-nist", "04-data-columbia", "05-data-casia"]


def test_packing_moves_nothing_across_a_split(sources: list[Path], packed: Path, tmp_path: Path) -> None:
    before = [sample for source in sources for sample in read_source(source)]
    after = read_source(packed, work=tmp_path / "work")
    for seed in range(5):
        sides = [split_by_group(samples, held_out=0.4, seed=seed) for samples in (before, after)]
        assert list(map(content, sides[0][1])) == list(map(content, sides[1][1]))


def test_training_material_comes_from_a_pack_as_from_the_sources(
    sources: list[Path], packed: Path, tmp_path: Path
) -> None:
    direct = Material.load(sources, held_out=0.3, seed=2)
    carried = Material.load([packed], held_out=0.3, seed=2, work=tmp_path / "work")
    for name in ("tampered", "authentic", "shapes"):
        assert len(getattr(direct, name)) == len(getattr(carried, name))
    np.testing.assert_array_equal(direct.authentic[1], carried.authentic[1])
    np.testing.assert_array_equal(direct.tampered[-1][1], carried.tampered[-1][1])
    assert direct.shapes[0][0] == carried.shapes[0][0]


def test_the_same_input_gives_the_same_bytes_anywhere(sources: list[Path], packed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "moved/data"
    elsewhere.parent.mkdir()
    (tmp_path / "data").rename(elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    pack(find_sources([elsewhere / source.name for source in sources]), tmp_path / "again")
    names = sorted(path.name for path in packed.iterdir())
    assert names == ["pack.json", "shard-000.tar"]
    for name in names:
        assert (packed / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_shards_stay_below_their_limit_and_are_told_in_the_index(sources: list[Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    contents = pack(
        find_sources(sources), tmp_path / "P", shard_bytes=40_000, progress=lambda d, t: told.append((d, t))
    )
    shards = sorted((tmp_path / "P").glob("*.tar"))
    assert len(shards) > 3
    assert all(path.stat().st_size <= 40_000 for path in shards)
    assert contents == json.loads((tmp_path / "P/pack.json").read_text())
    assert [(s["name"], s["bytes"], s["sha256"]) for s in contents["shards"]] == [
        (path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in shards
    ]
    assert told[-1][0] == told[-1][1] == sum(map(stored_bytes, shards))
    assert len(read_source(tmp_path / "P", work=tmp_path / "work")) == 8 + 6 + 4 + 4 + 7


def test_a_file_that_several_samples_name_is_stored_once(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set", 2)
    (folder / "index.csv").write_text("image,mask,group\n" + "images/1.png,masks/1.png,g\n" * 5)
    pack(find_sources([folder]), tmp_path / "P")
    with tarfile.open(tmp_path / "P/shard-000.tar") as archive:
        assert archive.getnames() == [
            "01-" + "".join(c if c.isalnum() or c in ".-" else "-" for c in f"{tmp_path.name}/set") + rest
            for rest in ("/index.csv", "/images/000000-1.png", "/masks/000001-1.png")
        ]
    assert len(read_source(tmp_path / "P", work=tmp_path / "work")) == 5


def test_names_of_any_kind_survive(tmp_path: Path) -> None:
    folder = tmp_path / "写真"
    for i, name in enumerate(("..x.jpg", "写真.jpg", "a b'c\".jpg", "-rf.JPG", "x" * 180 + ".jpeg")):
        save_photo(folder / name, seed=i)
    pack(find_sources([folder]), tmp_path / "P")
    before = {s.group: s.image.read_bytes() for s in read_source(folder)}
    assert {s.group: s.image.read_bytes() for s in read_source(tmp_path / "P", work=tmp_path / "work")} == before


def test_unpacking_is_done_once(packed: Path, tmp_path: Path) -> None:
    folders = unpack(packed, tmp_path / "work")
    marks = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*")}
    (packed / "shard-000.tar").unlink()  # not needed any more
    assert unpack(packed, tmp_path / "work") == folders
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*")} == marks


def test_several_processes_may_unpack_at_once(packed: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: unpack(packed, tmp_path / "work"), range(4)))
    assert found[1:] == found[:-1]
    assert [path.name[:5] for path in (tmp_path / "work").iterdir()] == ["pack-"]
    assert len(read_source(packed, work=tmp_path / "work")) == 29


def test_another_unpacking_may_end_while_this_one_looks_for_what_was_left(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Path.glob

    def glob(folder: Path, pattern: str) -> Iterator[Path]:
        yield from listing(folder, pattern)
        if pattern.startswith(".unpacking-"):
            yield folder / ".unpacking-renamed"  # listed, and renamed by its process before it was looked at

    monkeypatch.setattr(Path, "glob", glob)
    assert len(read_source(packed, work=tmp_path / "work")) == 29


def test_without_a_place_it_goes_into_the_cache(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert {folder.parent.parent for folder in unpack(packed)} == {tmp_path / "cache/nclscreen"}
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert {folder.parent.parent for folder in unpack(packed)} == {tmp_path / "home/.cache/nclscreen"}


def test_an_interrupted_unpacking_leaves_nothing_and_the_next_succeeds(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = unpacking._write

    def interrupt(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, folder: Path) -> None:
        written.append(member.name)
        if len(written) > 5:
            raise KeyboardInterrupt
        write(archive, member, path, folder)

    with monkeypatch.context() as patched:
        patched.setattr(unpacking, "_write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            unpack(packed, tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []
    assert len(read_source(packed, work=tmp_path / "work")) == 29


def test_what_a_killed_unpacking_left_is_swept_up_later(packed: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "work/.unpacking-old", tmp_path / "work/.unpacking-new"
    for left in (old, new):
        left.mkdir(parents=True)
    os.utime(old, (time.time() - 7200,) * 2)
    unpack(packed, tmp_path / "work")
    assert not old.exists()
    assert new.exists()  # another process may be at it


def test_an_interrupted_packing_leaves_nothing(sources: list[Path], tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(find_sources(sources), tmp_path / "out/P", progress=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_empty_folder_may_be_packed_into(sources: list[Path], packed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    pack(find_sources(sources), tmp_path / "empty")
    assert (tmp_path / "empty/pack.json").read_bytes() == (packed / "pack.json").read_bytes()


def test_what_cannot_be_packed_is_said(sources: list[Path], packed: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="is there already"):
        pack(find_sources(sources), packed)
    with pytest.raises(DatasetInvalid, match="name at least one source"):
        pack([], tmp_path / "P")
    with pytest.raises(DatasetInvalid, match=r"images/0\.png: .* bytes do not fit into a shard of 13,000"):
        pack(find_sources(sources), tmp_path / "P", shard_bytes=13_000)
    found = find_sources(sources)
    found[0].samples[0].image.unlink()
    with pytest.raises(DatasetInvalid, match=r"P: cannot be packed .*0\.png"):
        pack(found, tmp_path / "P")
    assert not (tmp_path / "P").exists()
