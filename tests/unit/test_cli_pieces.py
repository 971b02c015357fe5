"""Small parts of the command line: progress, filters, documents, settings, doctor and score, without a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support.odd_images import encoded, photo
from support.tiny_model import save_tiny_model

from jobs.domain import IMAGE_SUFFIXES, Counts, Filters, Job, JobId, ModelRef
from jobs.domain.states import JobState
from ncl_model.imaging.decoding import FORMATS
from ncl_model.inference.calibration import FALLBACK_THRESHOLD
from nclscreen.cli.app import run
from nclscreen.cli.progress import Rate, progress_line
from nclscreen.documents import job_document
from nclscreen.quantities import duration_in_words
from nclscreen.services.filters import make_filters
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.surroundings import InvalidSettings, load_settings
from nclscreen.wiring import Wiring, wire


def job(state: JobState = JobState.RUNNING, **counts: int) -> Job:
    return Job(
        id=JobId("j"),
        state=state,
        source="/photos",
        filters=Filters(),
        model=ModelRef(name="m 1", fingerprint="f" * 64),
        threshold=0.5,
        counts=Counts(**counts),
        created_at=0.0,
    )


def test_the_rate_is_that_of_the_last_minute() -> None:
    rate = Rate()
    assert rate.update(0, 0.0) is None
    assert rate.update(0, 5.0) is None
    assert rate.update(50, 10.0) == pytest.approx(5.0)
    for second in range(11, 200):
        per_s = rate.update(50 + (second - 10), float(second))
    assert per_s == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (90061, "25 h 01 min")],
)
def test_durations_as_people_say_them(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


def test_a_progress_line_says_how_far_and_how_long() -> None:
    line = progress_line(job(total=1000, scored=240, flagged=12, failed=10), 5.0)
    assert line == "running: 250/1,000 images, 12 flagged, 10 failed, 5.0 images/s, 2 min 30 s left"
    assert progress_line(job(JobState.PREPARING, total=7), None) == "preparing: 7 images found, 0 objects looked at"


def test_suffixes_are_taken_as_people_write_them() -> None:
    def filters(*suffixes: str) -> Filters:
        return make_filters(SubmissionRequest(source="x", suffixes=suffixes))[0]

    assert filters(".JPG", "png", "*.tif").suffixes == (".jpg", ".png", ".tif")
    assert filters() == Filters(suffixes=IMAGE_SUFFIXES)
    assert filters("*").in_words() == "any name"


def test_every_format_that_is_read_has_a_usual_ending() -> None:
    Image.init()
    of_ending = Image.registered_extensions()
    assert {of_ending[ending] for ending in IMAGE_SUFFIXES} == set(FORMATS)


def test_the_documents_of_a_job_have_what_scripts_rely_on() -> None:
    document = job_document(job(total=3, scored=2, flagged=1, failed=1))
    assert document["counts"] == {"total": 3, "scored": 2, "flagged": 1, "reused": 0, "failed": 1}
    assert document["model"] == {"name": "m 1", "fingerprint": "f" * 64}
    assert document["created_at"] == "1970-01-01T00:00:00.000+00:00"
    assert document["finished_at"] is None
    json.dumps(document)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder and a tiny model for commands run in this process."""
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))
    wire.cache_clear()
    yield tmp_path / "home"
    wire.cache_clear()


def test_settings_that_cannot_be_used_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCLSCREEN_THRESHOLD", "1.5")
    monkeypatch.setenv("NCLSCREEN_HEATMAPS", "some")
    with pytest.raises(InvalidSettings, match=r"NCLSCREEN_THRESHOLD.*1\.5") as raised:
        load_settings()
    assert "NCLSCREEN_HEATMAPS" in str(raised.value)


def test_which_threshold_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Wiring(load_settings()).model.threshold() == FALLBACK_THRESHOLD  # the tiny model suggests none
    monkeypatch.setenv("NCLSCREEN_THRESHOLD", "0.7")
    assert Wiring(load_settings()).model.threshold() == 0.7
    assert Wiring(load_settings()).model.threshold(0.3) == 0.3
    monkeypatch.delenv("NCLSCREEN_WEIGHTS")
    monkeypatch.delenv("NCLSCREEN_THRESHOLD")
    shipped = Wiring(load_settings())
    assert 0.5 < shipped.model.threshold() < 1
    assert shipped.model.ref.name.startswith("experts")


def test_score_needs_no_database_and_judges_each_file_alone(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good [bold].jpg"
    good.write_bytes(encoded(photo(), "JPEG"))
    (tmp_path / "empty.jpg").write_bytes(b"")
    names = [str(good), str(tmp_path / "empty.jpg"), str(tmp_path / "none.jpg"), str(tmp_path)]

    assert run(["score", *names, "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert [image["error_code"] for image in document["images"]] == [None, "empty", "not_found", "not_found"]
    assert 0 <= document["images"][0]["score"] <= 1
    assert not home.exists()
    assert run(["score", str(good)]) == 0
    assert "good [bold].jpg" in capsys.readouterr().out.replace("\n", "")


def test_doctor_says_what_to_mend(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(tmp_path / "gone.safetensors"))
    monkeypatch.setattr("nclscreen.services.health.ray_cluster", lambda wiring: "left out: the flow starts it")

    assert run(["doctor", "--source", str(tmp_path / "nowhere"), "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    found = {check["part"]: check for check in document["checks"]}
    assert not document["ok"]
    assert {part: check["ok"] for part, check in found.items()} == {
        "database": True,
        "heatmaps": True,
        "source": False,
        "model": False,
        "ray": True,
        "work": True,
        "queue": True,
    }
    assert "gone.safetensors" in found["model"]["message"]
    assert "nowhere" in found["source"]["message"]
