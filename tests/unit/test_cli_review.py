"""`review` and `reviews`: deciding, taking back, listing, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.builders import scored_job
from support.drawings import box_mask, png_of, two_strokes

from jobs.domain import JobId
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    return scored_job(wiring.engine, [0.4, 0.5, 0.6])


def document(capsys: pytest.CaptureFixture[str], *said: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*said, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_an_image_is_decided_on_and_taken_back(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    ref = f"{job}/1"
    assert run(["review", ref, "confirmed", "--note", "two [suns]\x1b", "--severity", "4", "--reviewer", "ann"]) == 0
    said = capsys.readouterr().out
    assert "confirmed severity 4 by ann: two [suns]" in said
    assert "\x1b" not in said
    found = document(capsys, "review", "1.jpg", "rejected", "--job", job, "--reviewer", "bob")
    assert [each["decision"] for each in found["reviews"]] == ["confirmed", "rejected"]
    found = document(capsys, "review", ref, "--undo")
    last = found["reviews"][-1]
    assert (last["decision"], last["severity"], last["undoes"]) == ("confirmed", 4, 2)
    assert run(["review", ref]) == 0
    assert capsys.readouterr().out.count(" by ") == 3


def test_the_list_of_a_job_has_what_holds(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", f"{job}/2", "unsure"]) == 0
    assert run(["review", f"{job}/0", "confirmed"]) == 0
    assert run(["review", f"{job}/0", "rejected"]) == 0
    found = document(capsys, "reviews", job)
    assert [(each["ref"], each["decision"]) for each in found["reviews"]] == [
        (f"{job}/0", "rejected"),
        (f"{job}/2", "unsure"),
    ]
    assert (found["reviewed"], found["rejected"], found["unsure"], found["confirmed"]) == (2, 1, 1, 0)
    assert found["flagged"] == 2
    assert run(["reviews", job]) == 0
    shown = capsys.readouterr()
    assert "rejected by" in shown.out
    assert "0 confirmed, 1 rejected, 1 unsure; 2 images are flagged" in shown.err


def test_what_makes_no_sense_is_refused(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    ref = f"{job}/1"
    for said, code, words in [
        (["1.jpg", "confirmed"], 2, "--job ID"),
        ([ref, "tampered"], 2, "confirmed"),
        ([ref, "confirmed", "--severity", "6"], 2, "severity"),
        ([ref, "confirmed", "--note", " "], 2, "--note: takes 1 to 2000 characters"),
        ([ref, "confirmed", "--reviewer", ""], 2, "--reviewer"),
        ([ref, "--note", "x"], 2, "say what it is"),
        ([ref, "confirmed", "--undo"], 2, "--undo takes no"),
        ([ref, "--undo"], 1, "no review that could be taken back"),
        ([f"{job}/9", "confirmed"], 1, "no verdict"),
    ]:
        capsys.readouterr()
        assert run(["review", *said]) == code, said
        assert words in capsys.readouterr().err.replace("\n", " "), said
    assert document(capsys, "reviews", job)["reviewed"] == 0


def test_what_was_drawn_comes_from_a_file(job: JobId, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ref = f"{job}/1"
    mask, scribbles = tmp_path / "mask.png", tmp_path / "scribbles.png"
    mask.write_bytes(png_of(box_mask(320, 240)))
    scribbles.write_bytes(png_of(two_strokes(320, 240)))
    assert run(["review", ref, "confirmed", "--mask", str(mask), "--reviewer", "ann"]) == 0
    assert "confirmed with a mask by ann" in capsys.readouterr().out
    found = document(capsys, "review", ref, "confirmed", "--scribbles", str(scribbles))
    assert [each["drawing"]["kind"] for each in found["reviews"]] == ["mask", "scribbles"]
    for said, words in [
        ([ref, "confirmed", "--mask", str(mask), "--scribbles", str(scribbles)], "--mask or --scribbles, not both"),
        ([ref, "confirmed", "--mask", str(scribbles)], "pixels of a mask are 0, 255"),
        ([ref, "confirmed", "--mask", str(tmp_path / "none.png")], "No such file"),
        ([ref, "rejected", "--mask", str(mask)], "goes with confirmed alone"),
        ([ref, "--mask", str(mask)], "say what it is"),
        ([ref, "--undo", "--mask", str(mask)], "--undo takes no"),
    ]:
        capsys.readouterr()
        assert run(["review", *said]) == 2, said
        assert words in " ".join(capsys.readouterr().err.split()), said
    assert len(document(capsys, "review", ref)["reviews"]) == 2


def test_flagged_images_that_nobody_reviewed_yet(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", f"{job}/2", "confirmed"]) == 0
    found = document(capsys, "flagged", "--review", "unreviewed")
    assert [each["ordinal"] for each in found["images"]] == [1]
    found = document(capsys, "flagged", "--review", "confirmed")
    assert [each["ordinal"] for each in found["images"]] == [2]
    assert run(["export", "--review", "confirmed", "--format", "jsonl", "--out", "-"]) == 0


def test_all_that_pass_are_counted_decided_on_and_taken_back(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "review-all", job, "--min-score", "0.5") == {"count": 2}
    assert run(["review-all", job, "rejected", "--min-score", "0.5"]) == 2
    assert "2 images pass: say --yes" in " ".join(capsys.readouterr().err.split())
    assert document(capsys, "reviews", job)["reviewed"] == 0
    done = document(capsys, "review-all", job, "rejected", "--min-score", "0.5", "--note", "scans", "--yes")
    assert (done["written"], done["passed_over"]) == (2, 0)
    assert [each["note"] for each in document(capsys, "reviews", job)["reviews"]] == ["scans", "scans"]
    assert run(["review-all", job, "--undo", done["bulk"]]) == 0
    assert capsys.readouterr().out == "2 images taken back\n"
    assert document(capsys, "reviews", job)["reviewed"] == 0
    assert run(["review-all", job, "confirmed", "--undo", done["bulk"]]) == 2
    assert run(["review-all", job, "--undo", done["bulk"]]) != 0
