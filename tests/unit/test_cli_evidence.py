"""Which evidence fired, as `flagged`, `show` and `score` say it; `score` with a model that finds copies in truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copied_photos import copied, photograph
from PIL import Image
from support.builders import MODEL, entry, ready_job, scored
from support.made_evidence import evidence
from support.screened_jobs import blob, photo_bytes
from support.tiny_model import save_experts_model

from jobs.domain import ImageRef, JobId, Verdict
from jobs.screening.heatmaps import encode_heatmap
from jobs.shards.work_queue import WorkQueue
from jobs.storage import FolderStorage
from nclscreen.cli.app import run
from nclscreen.cli.score import _evidence
from nclscreen.cli.screen import print_result
from nclscreen.services.scoring import ImageScore
from nclscreen.wiring import Wiring, wire


def screened(wiring: Wiring, results: list[Verdict], **fields: object) -> JobId:
    """A finished job with these verdicts."""
    images = [ImageRef(container=v.container, key=v.key) for v in results]
    job_id = ready_job(wiring.engine, images, shard_size=len(images), **fields)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[MODEL.fingerprint], job_id=job_id)
    queue.finish(lease, results)
    wiring.jobs.complete(job_id)
    return job_id


def with_evidence(ordinal: int, score: float, document: dict[str, Any] | None) -> Verdict:
    return replace(scored(ordinal, entry(f"{ordinal}.jpg"), score), evidence=document)


def columns(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_flagged_names_the_kinds_that_reach_the_jobs_threshold(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [
        with_evidence(0, 0.9, evidence(1, pixels=0.1, traces=0.6, copies=0.9)),
        with_evidence(1, 0.8, evidence(0, pixels=0.8, copies=0.4)),
        with_evidence(2, 0.7, None),
    ]
    job_id = screened(wiring, results, threshold=0.5)
    assert run(["flagged", "--job", job_id]) == 0
    assert columns(capsys) == [
        ["score", "area", "number", "evidence", "image"],
        ["0.900", "100.0%", "0", "copies+traces", "0.jpg"],
        ["0.800", "100.0%", "1", "pixels", "1.jpg"],
        ["0.700", "100.0%", "2", "-", "2.jpg"],
    ]
    assert run(["flagged"]) == 0
    assert [row[3] for row in columns(capsys)] == ["evidence", "copies+traces", "pixels", "-"]
    assert run(["flagged", "--json"]) == 0
    documents = json.loads(capsys.readouterr().out)["images"]
    assert [document["evidence"] for document in documents] == [result.evidence for result in results]


def test_each_jobs_threshold_counts_where_jobs_meet(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    document = evidence(1, pixels=0.6, copies=0.9)
    screened(wiring, [with_evidence(0, 0.9, document)], threshold=0.5)
    screened(wiring, [with_evidence(0, 0.9, document)], threshold=0.7)
    assert run(["flagged"]) == 0
    assert sorted(row[3] for row in columns(capsys)[1:]) == ["copies", "copies+pixels"]


def test_flagged_images_without_evidence_are_listed_as_before(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = screened(wiring, [with_evidence(0, 0.9, None)])
    assert run(["flagged", "--job", job_id]) == 0
    assert columns(capsys)[0] == ["score", "area", "number", "image"]


def shown(wiring: Wiring, folder: Path, document: dict[str, Any] | None) -> np.ndarray:
    """The picture that `show` draws of an image with this evidence."""
    storage = FolderStorage(folder.as_uri())
    storage.write(entry("a.jpg").key, photo_bytes(), content_type="image/jpeg")
    map_uri = storage.write(entry("a.png").key, encode_heatmap(blob(0.5)), content_type="image/png")
    image = entry("a.jpg", container=folder.as_uri())
    verdict = replace(scored(0, image, 0.9), map_uri=map_uri, sha256=None, evidence=document)
    out = folder / "out.png"
    assert run(["show", f"{screened(wiring, [verdict])}/0", "--out", str(out)]) == 0
    with Image.open(out) as picture:
        return np.asarray(picture).astype(int)


def test_show_says_what_fired_and_draws_what_was_copied(wiring: Wiring, tmp_path: Path) -> None:
    bare = shown(wiring, tmp_path, None)
    told = shown(wiring, tmp_path, evidence(0, pixels=0.1, copies=0.9))
    drawn = shown(wiring, tmp_path, evidence(1, pixels=0.1, copies=0.9))
    assert told.shape[0] > bare.shape[0], "it says what fired, and how loud each kind is"
    assert drawn.shape == told.shape
    changed = np.abs(drawn - told).sum(axis=2)[-bare.shape[0] // 2 :] > 0
    half = changed.shape[1] // 2
    assert changed[:, half:].any()
    assert not changed[:, :half].any(), "the photograph beside it stays as it is"


@pytest.fixture
def experts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_experts_model(tmp_path / "experts.safetensors")))
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    wire.cache_clear()


@pytest.mark.usefixtures("experts")
def test_score_says_that_a_region_was_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = photograph("coffee", 384)
    for name, picture in (("copied", copied(photo).photo), ("whole", photo)):
        picture.save(tmp_path / f"{name}.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    images = [str(tmp_path / f"{name}.png") for name in ("copied", "whole", "small", "none")]
    assert run(["score", *images, "--threshold", "0.95", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["images"]
    assert [each["flagged"] for each in found] == [True, False, False, False]
    assert found[0]["evidence"]["scores"]["copies"] > 0.95 > found[0]["evidence"]["scores"]["pixels"]
    assert found[0]["evidence"]["copies"][0]["inliers"] > 3
    assert "copies" not in found[2]["evidence"]["scores"]
    assert found[3]["evidence"] is None
    assert run(["score", *images, "--threshold", "0.95"]) == 1
    rows = columns(capsys)
    assert rows[0] == ["score", "area", "verdict", "evidence", "image"]
    assert rows[1][2:4] == ["flagged", "copies"]
    assert rows[2][3:5] == ["flagged", "-"]


def test_a_job_says_how_many_images_could_not_be_tested(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    scaled = evidence(0, {"traces": "no_grid", "together": "no_grid"}, pixels=0.1)
    small = evidence(0, {"copies": "too_small"}, pixels=0.1)
    results = [with_evidence(ordinal, 0.1, each) for ordinal, each in enumerate((scaled, scaled, small, None))]
    job_id = screened(wiring, results)
    said = "for traces of earlier saving in 2, copied regions in 1"
    assert run(["job", job_id]) == 0
    assert ["not", "tested", *said.split()] in columns(capsys)
    print_result(wiring, wiring.jobs.get(job_id))
    assert ["not", "tested", *said.split()] in columns(capsys)
    assert run(["job", job_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["untestable"] == {"traces": 2, "together": 2, "copies": 1}


def test_a_job_with_everything_tested_or_not_over_says_nothing(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = screened(wiring, [with_evidence(0, 0.1, evidence(0, pixels=0.1))])
    running = ready_job(wiring.engine, [entry("a.jpg")])
    for job_id, counted in ((tested, {}), (running, None)):
        assert run(["job", job_id]) == 0
        assert "not tested" not in capsys.readouterr().out
        assert run(["job", job_id, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["untestable"] == counted


@pytest.mark.usefixtures("experts")
def test_score_says_what_could_not_be_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photograph("coffee", 384).save(tmp_path / "whole.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    images = [str(tmp_path / name) for name in ("small.png", "whole.png")]
    assert run(["score", *images, "--threshold", "0.95"]) == 0
    _, small, whole = capsys.readouterr().out.splitlines()
    scaled, tiny = "traces of earlier saving cannot be tested", "too small to be searched for copied regions"
    assert f"not flagged  - (no JPEG grid stands out: {scaled}; {tiny})  " in small
    assert "too small" not in whole


def test_what_could_not_be_tested_stands_beside_what_fired() -> None:
    scaled = evidence(0, {"traces": "no_grid", "together": "no_grid"}, pixels=0.97)
    fields = {"score": 0.97, "tampered_area": 0.5, "evidence": scaled}
    quiet = ImageScore(image="a.png", **fields)
    loud = ImageScore(image="b.png", flagged=True, **fields)
    assert [str(_evidence(each, 0.95)) for each in (quiet, loud, ImageScore(image="c.png", score=0.5))] == [
        "- (no JPEG grid stands out: traces of earlier saving cannot be tested)",
        "pixels (no JPEG grid stands out: traces of earlier saving cannot be tested)",
        "-",
    ]
