"""`nclscreen data` as people and scripts use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from support.data_sets import make_authentic, make_indexed, save_mask

from nclscreen.cli.app import run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PACKs unpacked without a place of their own go here; nothing else is needed in a home folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    return tmp_path / "cache"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return make_indexed(tmp_path / "people")


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    return make_authentic(tmp_path / "drawn")


def test_inspect_tells_people_what_is_there(people: Path, drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "inspect", str(people), str(drawn)]) == 0
    said, progress = capsys.readouterr()
    for words in (
        "people  index.csv",
        "4 tampered, 4 authentic",
        "4, the largest of 2",
        "PNG 8;",
        "median 48x32; from 48x32 to 48x32",
        "median 25.0% of the pixels",
        "drawn  photographs",
        "region maps  6",
        "every file can be used",
    ):
        assert words in said
    assert "looking: 14/14 photographs" in progress


def test_inspect_tells_scripts_the_same(people: Path, drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.open(people / "images/0.png").save(people / "images/6.png")
    assert run(["data", "inspect", str(people), str(drawn), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(s["layout"], s["tampered"], s["authentic"], s["regions"]) for s in document["sources"]] == [
        ("index.csv", 4, 4, 0),
        ("photographs", 0, 6, 6),
    ]
    assert document["sources"][0]["problems"] == []
    (copy,) = document["copies"]
    assert copy["exact"] is True
    assert [image["image"] for image in copy["images"]] == [str(people / f"images/{i}.png") for i in (0, 6)]
    assert [image["group"] for image in copy["images"]] == ["people-0", "people-3"]


def test_inspect_fails_when_files_cannot_be_used_and_tells_each(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_mask(people / "masks/1.png", size=(20, 20))
    (people / "images/4.png").write_bytes(b"")
    assert run(["data", "inspect", str(people)]) == 1
    said = capsys.readouterr().out
    assert "problems: " in said
    assert "mask size 1" in said
    assert "unreadable image 1" in said
    assert f"{people / 'index.csv'}, line 3: mask" in said.replace("\n", "")
    assert run(["data", "inspect", str(people), "--json"]) == 1
    kinds = [p["kind"] for p in json.loads(capsys.readouterr().out)["sources"][0]["problems"]]
    assert kinds == ["mask_size", "unreadable_image"]


def test_many_problems_and_copies_are_counted_beyond_twenty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_authentic(tmp_path / "many", 60, regions=False)
    for i in range(30):
        (folder / f"p{i}.jpg").write_bytes(b"")
    for i in range(31, 60):
        (folder / f"p{i}.jpg").write_bytes((folder / "p30.jpg").read_bytes())
    assert run(["data", "inspect", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "... and 10 more\n" in said
    assert "... and 415 more (--json has all)" in said
    assert said.count("no bytes") == 20


def test_names_cannot_play_tricks_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "\x1b[31mred [bold]"
    make_authentic(folder, 2, regions=False)
    (folder / "a\x1b[2J.jpg").write_bytes(b"")
    assert run(["data", "inspect", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[31mred [bold]" in said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["inspect"], 2, "SOURCE"),
        (["inspect", "nowhere"], 1, "nowhere: no such file or folder"),
        (["inspect", "empty"], 1, "no index.csv, no published layout, no photographs"),
        (["inspect", "bad/index.csv"], 1, "index.csv, line 1: no column mask, group"),
        (["pack", "empty"], 2, "--out"),
        (["pack", "nowhere", "--out", "P"], 1, "nowhere: no such file or folder"),
        (["mend"], 2, "mend"),
    ],
)
def test_mistakes_are_told_with_an_exit_code(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/index.csv").write_text("image,label\na.jpg,1\n")
    assert run(["data", *arguments]) == code
    assert says in " ".join(capsys.readouterr().err.split())


def test_help_is_there_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["inspect", "--help"], ["pack", "-h"]):
        assert run(["data", *arguments]) == 0
        assert "Example" in capsys.readouterr().out


def test_a_pack_can_be_made_inspected_and_carried_on(
    people: Path, drawn: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "PACK"
    assert run(["data", "pack", str(people), str(drawn), "--out", str(out)]) == 0
    said, progress = capsys.readouterr()
    assert f"{out}: 14 photographs, " in said.replace("\n", "")
    assert " in 1 shard\n" in said
    assert "packing: " in progress
    assert run(["data", "inspect", str(out), "--work", str(tmp_path / "work"), "--json"]) == 0
    assert [s["tampered"] for s in json.loads(capsys.readouterr().out)["sources"]] == [4, 0]
    assert list((tmp_path / "work").iterdir())
    assert not cache.exists()
    assert run(["data", "pack", str(out), "--out", str(tmp_path / "again"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["pack"], document["problems"]) == (str(tmp_path / "again"), 0)
    assert [s["samples"] for s in document["sources"]] == [8, 6]
    assert cache.exists()
    assert not (tmp_path / "home").exists()


def test_nothing_is_packed_over_something(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (people / "images/0.png").write_bytes(b"")  # would be told, if it were looked at first
    assert run(["data", "pack", str(people), "--out", str(people)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_bad_files_are_packed_only_when_they_may_be_left_out(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_mask(people / "masks/1.png", value=150, rest=110)
    (people / "images/4.png").write_bytes(b"")
    out = tmp_path / "PACK"
    assert run(["data", "pack", str(people), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "2 problems with the data" in told
    assert "--leave-out-bad" in told
    assert not out.exists()
    assert run(["data", "pack", str(people), "--out", str(out), "--leave-out-bad", "--grey-masks", "--json"]) == 0
    said, told = capsys.readouterr()
    assert json.loads(said)["sources"][0]["samples"] == 7
    assert "line 6" in told
    for path in people.glob("images/*"):
        path.write_bytes(b"")
    assert run(["data", "pack", str(people), "--out", str(tmp_path / "P2"), "--leave-out-bad"]) == 1
    assert "nothing to pack" in capsys.readouterr().err


@pytest.mark.parametrize("phase", ["looking", "packing"])
def test_ctrl_c_leaves_nothing(phase: str, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object, done: int, total: int, name: str) -> None:
        if name == phase and done > total / 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("nclscreen.cli.counting._Lines.__call__", interrupt)
    assert run(["data", "pack", str(people), "--out", str(tmp_path / "out/P")]) == 130
    assert list((tmp_path / "out").glob("*")) == []
