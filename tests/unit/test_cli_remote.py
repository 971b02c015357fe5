"""`nclscreen --api URL`: the same commands on the other side of a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.drawings import box_mask, png_of
from support.made_evidence import evidence
from support.page_server import Site, site_with
from support.screened_jobs import Shot

from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.errors import ErrorCode
from nclscreen.cli.app import run

SHOTS = [Shot(key="a.jpg", score=0.9), Shot(key="b.jpg", score=0.2), Shot(key="broken.jpg", code=ErrorCode.CORRUPT)]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "elsewhere"))  # what happens, happens over there
    with site_with(tmp_path / "site", SHOTS) as found:
        yield found
    assert not (tmp_path / "elsewhere").exists()


def document(site: Site, capsys: pytest.CaptureFixture[str], *said: str) -> dict[str, object]:
    capsys.readouterr()
    assert run(["--api", site.url, *said, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_jobs_are_submitted_listed_and_steered(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["--api", site.url, "submit", str(tmp_path), "--name", "n", "--tag", "x", "--threshold", "0.7"]) == 0
    job_id = capsys.readouterr().out.strip()
    shown = document(site, capsys, "job", job_id)
    assert (shown["name"], shown["tags"], shown["threshold"]) == ("n", ["x"], 0.7)
    assert run([f"--api={site.url}", "jobs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [job_id, site.job.job.id]
    assert document(site, capsys, "pause", job_id)["state"] == "paused"
    assert document(site, capsys, "cancel", job_id)["state"] == "cancelled"
    assert run(["--api", site.url, "watch", job_id]) == 1, "it did not complete"
    assert run(["--api", site.url, "watch", site.job.job.id]) == 0


def test_a_job_says_how_many_images_could_not_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "elsewhere"))
    scaled = evidence(0, {"traces": "no_grid", "together": "no_grid"}, pixels=0.1)
    with site_with(tmp_path / "site", [Shot(key="a.jpg", score=0.1, evidence=scaled), SHOTS[1]]) as site:
        assert run(["--api", site.url, "job", site.job.job.id]) == 0
    assert "not tested for traces of earlier saving in 1" in capsys.readouterr().out.splitlines()


def test_verdicts_are_listed_shown_decided_on_and_taken_along(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["--api", site.url, "flagged"]) == 0
    assert "a.jpg" in capsys.readouterr().out
    ref = f"{site.job.job.id}/0"
    picture = tmp_path / "a.jpg"
    assert run(["--api", site.url, "show", ref, "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\xff\xd8")
    assert document(site, capsys, "review", ref, "confirmed", "--note", "two suns")["note"] == "two suns"
    assert document(site, capsys, "flagged", "--review", "unreviewed") == {"images": []}
    mask = tmp_path / "mask.png"
    mask.write_bytes(png_of(box_mask(96, 64)))
    drawn = document(site, capsys, "review", ref, "confirmed", "--mask", str(mask))
    assert drawn["drawing"]["kind"] == "mask"  # type: ignore[index]
    table = tmp_path / "all.parquet"
    assert run(["--api", site.url, "export", "--job", site.job.job.id, "--out", str(table)]) == 0
    assert pq.read_table(table).num_rows == 3
    assert document(site, capsys, "reflag", site.job.job.id, "--threshold", "0.1")["reflagging"] == {"threshold": 0.1}
    assert site.wiring.reflagging(None).step(threading.Event())
    found = document(site, capsys, "flagged", "--job", site.job.job.id)
    assert [each["key"] for each in found["images"]] == ["a.jpg", "b.jpg"]  # type: ignore[attr-defined]


def test_what_is_wrong_is_told_with_the_codes_of_every_command(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for said, code, about in (
        (["--api", site.url, "job", "0" * 16], 1, "there is no job"),
        (["--api", site.url, "submit", str(tmp_path / "nowhere")], 1, "nowhere"),
        (["--api", site.url, "review", "x", "confirmed"], 2, "JOB/NUMBER"),
        (["--api", site.url, "score", str(tmp_path / "none.jpg")], 2, "is no file"),
        (["--api", site.url, "up"], 2, "No such command"),
        (["--api", "http://127.0.0.1:1", "jobs"], 1, "does not answer"),
        (["--api"], 2, "say which"),
        (["--api", "desk.example.org", "jobs"], 2, "say which"),
        (["jobs", "--api", site.url], 2, "No such option"),
    ):
        assert run(said) == code, said
        assert about in capsys.readouterr().err, said


def test_a_key_is_shown_where_one_is_needed(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = site.wiring.keys.create(site.wiring.projects.get(DEFAULT_PROJECT).name, "ann", [Scope.READ])
    assert run(["--api", site.url, "jobs"]) == 1
    assert "key" in capsys.readouterr().err
    monkeypatch.setenv("NCLSCREEN_API_KEY", text.text)
    assert run(["--api", site.url, "jobs"]) == 0
    said = capsys.readouterr()
    assert "is no setting" not in said.err
    assert text.text not in said.out + said.err
