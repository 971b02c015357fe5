"""What a snapshot keeps out: photographs that models are measured on, also as a smaller copy saved once more."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support.screened_jobs import ScreenedJob, Shot, photo_bytes, screened_job
from support.tiny_model import save_tiny_model

from jobs.domain import Decision, NewReview, VerdictRef
from jobs.domain.access import DEFAULT_PROJECT
from nclscreen.demo.photographs import load_photographs
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.snapshots import take_snapshot
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring


def jpeg(photo: Image.Image, quality: int = 92) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos() -> dict[str, Image.Image]:
    return {name: photo.resize((320, 240)) for name, photo in load_photographs().items()}


@pytest.fixture
def screened(tmp_path: Path, photos: dict[str, Image.Image]) -> Iterator[ScreenedJob]:
    """Every photograph of the demo, all flagged."""
    shots = [Shot(key=f"{name}.jpg", score=0.9, data=jpeg(photo)) for name, photo in sorted(photos.items())]
    found = screened_job(tmp_path / "screened", shots)
    yield found
    found.close()


@pytest.fixture
def wiring(tmp_path: Path, screened: ScreenedJob) -> Iterator[Wiring]:
    """All of them are reviewed as false alarms."""
    url = screened.store._engine.url.render_as_string(hide_password=False)
    weights = save_tiny_model(tmp_path / "tiny.safetensors")
    found = Wiring(Settings(home=tmp_path / "home", database_url=url, weights=weights))
    for ordinal in range(screened.job.counts.total):
        verdict = found.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=ordinal))
        found.reviews.add(verdict, NewReview(decision=Decision.REJECTED, reviewer="ann"))
    yield found
    found.engine.dispose()


def index(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    lines = ["image,mask,group", *(f"{name},,{name}" for name in files)]
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


def test_copies_of_what_models_are_measured_on_stay_out(
    wiring: Wiring, photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    base = index(tmp_path / "base", {"noise.jpg": photo_bytes(seed=1)})
    brighter = photos["cat"].point(lambda value: min(255, round(1.05 * value)))
    judged = index(
        tmp_path / "judged",
        {
            "same.jpg": jpeg(photos["rocket"]),
            "smaller.jpg": jpeg(photos["coffee"].resize((150, 112)), 60),
            "brighter.png": jpeg(brighter, 80),
            "another.jpg": photo_bytes(seed=2),
        },
    )
    request = RetrainRequest(data=(str(base),), evaluate=(str(judged),))
    snapshot = take_snapshot(wiring, request, DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    left_out = {each["key"]: each["reason"] for each in snapshot.contents["excluded"]}
    assert set(left_out) == {"rocket.jpg", "coffee.jpg", "cat.jpg"}
    assert "nearly equals" in left_out["coffee.jpg"]
    assert "nearly equals" in left_out["cat.jpg"]
    assert "nearly" not in left_out["rocket.jpg"], "by its bytes"
    assert snapshot.contents["reviewed"] == len(photos) - 3
    again = take_snapshot(wiring, request, DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    assert again.sha256 == snapshot.sha256


def test_nothing_is_measured_on_nothing_is_left_out(
    wiring: Wiring, photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    base = index(tmp_path / "base", {"noise.jpg": photo_bytes(seed=1)})
    snapshot = take_snapshot(wiring, RetrainRequest(data=(str(base),)), DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    assert (snapshot.contents["reviewed"], snapshot.contents["excluded"]) == (len(photos), [])
