"""PACKs that were damaged, or made by somebody who means harm: nothing of a tar is trusted or kept."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data_sets import make_authentic, make_indexed

from ncl_model.data.datasets import find_sources
from ncl_model.data.packing import pack
from ncl_model.data.unpacking import unpack
from ncl_model.errors import DatasetInvalid


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack(
        find_sources([make_indexed(tmp_path / "data/people"), make_authentic(tmp_path / "data/drawn")]),
        tmp_path / "PACK",
    )
    return tmp_path / "PACK"


def _cut(packed: Path) -> None:
    path = packed / "shard-000.tar"
    path.write_bytes(path.read_bytes()[:-5000])


def _flip(packed: Path) -> None:
    path = packed / "shard-000.tar"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _lose(packed: Path) -> None:
    (packed / "shard-000.tar").unlink()


def _no_json(packed: Path) -> None:
    (packed / "pack.json").write_text("{")


def _other_json(packed: Path) -> None:
    (packed / "pack.json").write_text('{"version": 1, "shards": [{}], "sources": []}')


def _later(packed: Path) -> None:
    contents = json.loads((packed / "pack.json").read_text())
    (packed / "pack.json").write_text(json.dumps({**contents, "version": 2}))


def _elsewhere(packed: Path) -> None:
    contents = json.loads((packed / "pack.json").read_text())
    contents["shards"][0]["name"] = "../shard-000.tar"
    (packed / "pack.json").write_text(json.dumps(contents))


def _no_index(packed: Path) -> None:
    contents = json.loads((packed / "pack.json").read_text())
    contents["sources"].append({"folder": "99-none"})
    (packed / "pack.json").write_text(json.dumps(contents))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_cut, r"shard-000\.tar: has [\d,]+ bytes instead of [\d,]+; copy it again"),
        (_flip, r"shard-000\.tar: is not what was packed .*; copy it again"),
        (_lose, r"shard-000\.tar: the shard is missing; copy the whole folder"),
        (_no_json, r"pack\.json: is not the index of a PACK"),
        (_other_json, r"pack\.json: is not the index of a PACK"),
        (_later, "version 2 of a PACK; this program reads version 1"),
        (_elsewhere, "names files that no PACK has"),
        (_no_index, r"has no 99-none/index\.csv"),
    ],
)
def test_damage_is_noticed_and_nothing_is_kept(packed: Path, tmp_path: Path, harm: object, says: str) -> None:
    harm(packed)  # type: ignore[operator]
    with pytest.raises(DatasetInvalid, match=says):
        unpack(packed, tmp_path / "work")
    assert not any((tmp_path / "work").glob("*"))


def forged(folder: Path, member: tarfile.TarInfo, data: bytes = b"x") -> Path:
    """A PACK with right checksums around one member of somebody's making."""
    folder.mkdir()
    member.size = len(data) if member.isreg() else 0
    with tarfile.open(folder / "shard-000.tar", "w") as archive:
        archive.addfile(member, io.BytesIO(data))
    shard = (folder / "shard-000.tar").read_bytes()
    told = {"name": "shard-000.tar", "bytes": len(shard), "sha256": hashlib.sha256(shard).hexdigest()}
    contents = {"version": 1, "shards": [told], "sources": [{"folder": "01-a"}]}
    (folder / "pack.json").write_text(json.dumps(contents))
    return folder


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "/etc/evil.png", "01-a/../../evil.png", "01-a/images/../../../evil", "01-a/images/.bashrc",
     "01-a/evil.sh", "01-a/images/a/b.png", "01-a/index.csv/x", "01-a\\..\\evil", "01-a/images/a\n.png"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    packed = forged(tmp_path / "P", tarfile.TarInfo(name))
    with pytest.raises(DatasetInvalid, match="which no PACK holds"):
        unpack(packed, tmp_path / "a/b/work")
    assert not [path for path in tmp_path.rglob("*evil*") if path.name != "P"]
    assert not any((tmp_path / "a/b/work").iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_plain_files_are_taken(kind: bytes, tmp_path: Path) -> None:
    member = tarfile.TarInfo("01-a/images/a.png")
    member.type = kind
    member.linkname = "/etc/passwd"
    with pytest.raises(DatasetInvalid, match="which no PACK holds"):
        unpack(forged(tmp_path / "P", member), tmp_path / "work")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_whatever_the_bytes_are_only_our_error_comes_out(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Checksums right, contents damaged at random: a PACK made by somebody else's broken program."""
    rng = random.Random(seed)
    base = tmp_path_factory.mktemp("fuzz")
    member = tarfile.TarInfo("01-a/index.csv")
    packed = forged(base / "P", member, b"image,mask,group\nimages/a.png,,g\n")
    data = bytearray((packed / "shard-000.tar").read_bytes())
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(min(len(data), 1600))] = rng.randrange(256)
    (packed / "shard-000.tar").write_bytes(bytes(data))
    contents = json.loads((packed / "pack.json").read_text())
    contents["shards"][0]["sha256"] = hashlib.sha256(bytes(data)).hexdigest()
    (packed / "pack.json").write_text(json.dumps(contents))
    try:
        folders = unpack(packed, base / "work")
    except DatasetInvalid:
        assert not any((base / "work").glob("*"))
    else:
        assert [path.name for path in folders] == ["01-a"]
    assert {path.name for path in base.iterdir()} == {"P", "work"}
