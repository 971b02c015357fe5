"""What a snapshot keeps out: photographs that models are measured on, also as a smaller copy saved once more."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.drawings import box_mask, png_of, two_strokes
from support.screened_jobs import ScreenedJob, Shot, photo_bytes, screened_job
from support.tiny_model import save_tiny_model

from jobs.domain import Decision, NewReview, VerdictRef
from jobs.domain.access import DEFAULT_PROJECT
from jobs.domain.drawings import DrawingKind
from jobs.reviews.drawing_png import read_drawing
from ncl_model.data.checking import usable_sources
from ncl_model.data.datasets import Source
from nclscreen.demo.photographs import load_photographs
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.snapshots import Snapshot, take_snapshot
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


def held_out(data: bytes) -> bool:
    number = int.from_bytes(hashlib.sha256(f"held out {hashlib.sha256(data).hexdigest()}".encode()).digest()[:8], "big")
    return number < 0.3 * 2**64


def draw(wiring: Wiring, screened: ScreenedJob, ordinal: int, kind: DrawingKind) -> str:
    """Confirm it with a drawing at half the photograph's size; the drawing's hash."""
    labels = box_mask(160, 120) if kind is DrawingKind.MASK else two_strokes(160, 120)
    drawing = read_drawing(kind, png_of(labels), (320, 240))
    verdict = wiring.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=ordinal))
    wiring.reviews.add(verdict, NewReview(decision=Decision.CONFIRMED, reviewer="ann", drawing=drawing))
    return drawing.sha256


def test_what_was_masked_is_learnt_from_and_judged_with_its_mask(
    wiring: Wiring, screened: ScreenedJob, photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    masks = {draw(wiring, screened, ordinal, DrawingKind.MASK) for ordinal in range(len(photos))}
    for ordinal in range(0, len(photos), 2):  # somebody agrees
        verdict = wiring.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=ordinal))
        wiring.reviews.add(verdict, NewReview(decision=Decision.CONFIRMED, reviewer="bob"))
    base = index(tmp_path / "base", {"noise.jpg": photo_bytes(seed=1)})
    snapshot = take_snapshot(wiring, RetrainRequest(data=(str(base),)), DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    kept = {hashlib.sha256(path.read_bytes()).hexdigest(): path.read_bytes() for path in screened.folder.iterdir()}
    for_judging = {sha for sha, data in kept.items() if held_out(data)}
    assert 0 < len(for_judging) < len(kept), "some of both"
    assert snapshot.train is not None
    assert snapshot.held_out is not None
    (train, judged), problems = usable_sources([snapshot.train, snapshot.held_out], masks_needed=True)
    assert problems == []
    assert {sample.group for sample in train.samples} == set(kept) - for_judging
    assert {sample.group for sample in judged.samples} == for_judging
    (mask_file, *_) = (sample.mask for sample in train.samples)
    assert mask_file is not None
    with Image.open(mask_file) as mask:
        assert mask.size == (320, 240)
        assert (mask.getpixel((100, 80)), mask.getpixel((200, 80))) == (255, 0)
    assert (snapshot.contents["masks"], snapshot.contents["labels_alone"]) == (len(photos), 0)
    assert {wiring.snapshot_archive.drawing(sha256)[:4] for sha256 in masks} == {b"\x89PNG"}


def sources_of(snapshot: Snapshot) -> list[Source]:
    """What is trained on, and what is judged by."""
    assert snapshot.train is not None
    assert snapshot.held_out is not None
    found, problems = usable_sources([snapshot.train, snapshot.held_out])
    assert problems == []
    return found


def test_scribbles_are_learnt_from_where_they_say_something(
    wiring: Wiring, screened: ScreenedJob, photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    sha256 = {draw(wiring, screened, ordinal, DrawingKind.SCRIBBLES) for ordinal in range(len(photos))}
    base = index(tmp_path / "base", {"noise.jpg": photo_bytes(seed=1)})
    snapshot = take_snapshot(wiring, RetrainRequest(data=(str(base),)), DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    assert (snapshot.contents["scribbles"], snapshot.contents["masks"]) == (len(photos), 0)
    drawn = [each["drawing"] for each in snapshot.contents["photographs"] if each["tampered"]]
    assert drawn == [{"kind": "scribbles", "sha256": sha256.pop()}] * len(photos)
    train, judged = sources_of(snapshot)
    assert train.samples
    strokes = np.array(Image.fromarray(two_strokes(160, 120)).resize((320, 240), Image.Resampling.NEAREST))
    for sample in train.samples:
        assert sample.mask is not None
        assert sample.known is not None
        mask, known = (np.asarray(Image.open(path)) > 127 for path in (sample.mask, sample.known))
        assert (mask & (strokes == 255)).sum() > 0.9 * (strokes == 255).sum()
        assert not (mask & (strokes == 128)).any()
        assert (known == (strokes > 0)).mean() > 0.98
    assert all(sample.whole_mask is None and sample.tampered for sample in judged.samples), "image figures alone"


@pytest.mark.parametrize(("weak", "learnt"), [(0.1, True), (0.0, False)])
def test_what_nobody_drew_is_learnt_from_by_its_label(
    weak: float, learnt: bool, wiring: Wiring, screened: ScreenedJob, photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    for ordinal in range(len(photos) - 2):
        verdict = wiring.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=ordinal))
        wiring.reviews.add(verdict, NewReview(decision=Decision.CONFIRMED, reviewer="ann"))
    base = index(tmp_path / "base", {"noise.jpg": photo_bytes(seed=1)})
    request = RetrainRequest(data=(str(base),), weak=weak)
    snapshot = take_snapshot(wiring, request, DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    train, judged = sources_of(snapshot)
    assert any(sample.unmasked for sample in train.samples) == learnt
    assert snapshot.contents["labels_alone"] == len({sample.group for sample in train.samples if sample.unmasked})
    unmasked = {sample.group for source in (train, judged) for sample in source.samples if sample.unmasked}
    assert len(unmasked) == len(photos) - 2


def test_of_two_masks_the_last_one_is_learnt_from(wiring: Wiring, screened: ScreenedJob, tmp_path: Path) -> None:
    draw(wiring, screened, 0, DrawingKind.MASK)
    whole = read_drawing(DrawingKind.MASK, png_of(box_mask(320, 240) | 255), (320, 240))
    verdict = wiring.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=0))
    wiring.reviews.add(verdict, NewReview(decision=Decision.CONFIRMED, reviewer="bob", drawing=whole))
    base = index(tmp_path / "base", {"noise.jpg": photo_bytes(seed=1)})
    snapshot = take_snapshot(wiring, RetrainRequest(data=(str(base),)), DEFAULT_PROJECT, tmp_path / "run", lambda: None)
    (mask,) = [each["drawing"] for each in snapshot.contents["photographs"] if each["drawing"]]
    assert mask == {"kind": "mask", "sha256": whole.sha256}
