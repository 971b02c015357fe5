"""Canary pictures: the same everywhere, written down with a version, and asked of whoever hosts it or promotes it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update
from support.tiny_model import save_lively_model, save_tiny_model

from jobs.domain.registry import Alias
from jobs.sql.database import writing
from jobs.sql.model_tables import model_versions
from jobs.storage import S3Options
from ncl_model.inference.canary import TOLERANCE, canary_of, canary_pictures, disagreement
from ncl_model.inference.predictor import Predictor
from nclscreen.catalog import CanaryFailed, ModelVersion
from nclscreen.hosting.replica import Localizer
from nclscreen.services.models import promote, register
from nclscreen.wiring import Wiring

# as in test_hosted_model.py
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_model(tmp_path_factory.mktemp("canary") / "lively.safetensors")


@pytest.fixture(scope="module")
def predictor(lively: Path) -> Predictor:
    return Predictor.setup(lively, "float32")


def off_by(predictor: Predictor, difference: float) -> dict[str, object]:
    said = canary_of(predictor)
    return said | {"scores": [*said["scores"][:-1], said["scores"][-1] + difference]}


def test_the_pictures_are_the_same_everywhere() -> None:
    """Others would be another batch, and what was written down could not be compared any more."""
    pixels = [np.asarray(Image.open(io.BytesIO(data))) for data in canary_pictures()]
    assert {each.shape for each in pixels} == {(192, 192, 3)}
    digest = hashlib.sha256(b"".join(each.tobytes() for each in pixels)).hexdigest()
    assert digest[:16] == "6767c9dde6137a49"


def test_whoever_computes_as_it_should_agrees(predictor: Predictor, lively: Path) -> None:
    written = canary_of(predictor)
    assert len(set(written["scores"])) > 4, "pictures that tell models apart"
    assert disagreement(predictor, written) is None
    assert disagreement(Predictor.setup(lively), written) is None
    assert disagreement(predictor, off_by(predictor, TOLERANCE / 2)) is None
    assert disagreement(predictor, None) is None
    assert disagreement(predictor, written | {"batch": 0}) is None


@pytest.mark.parametrize("difference", [2 * TOLERANCE, -0.5, float("nan")])
def test_one_picture_that_differs_is_told(predictor: Predictor, difference: float) -> None:
    told = disagreement(predictor, off_by(predictor, difference))
    assert told is not None
    assert told.startswith("it scores 1 of 8 canary pictures otherwise than when it was registered: number 8 ")


def test_a_replica_that_answers_otherwise_takes_nothing(predictor: Predictor, lively: Path) -> None:
    version = ModelVersion(fingerprint=predictor.fingerprint, places=(str(lively),), s3=S3Options())
    well = Localizer(replace(version, canary=canary_of(predictor)))
    asyncio.run(well.reconfigure({"threads": 1}))
    well.check_health()
    ill = Localizer(replace(version, canary=off_by(predictor, 0.01)))
    with pytest.raises(CanaryFailed, match=r"does not compute here as it did: .*; it is not used"):
        asyncio.run(ill.reconfigure({"threads": 1}))
    with pytest.raises(RuntimeError, match="no weights are loaded"):
        ill.check_health()


def test_what_was_written_down_is_compared_before_a_promotion(wiring: Wiring, photos: None, lively: Path) -> None:
    version = register(wiring, lively)
    assert version.canary is not None
    assert wiring.versions.version(version.fingerprint).canary == version.canary
    wrong = {"batch": 1, "scores": [0.5] * 8}
    with writing(wiring.engine) as connection:
        this = update(model_versions).where(model_versions.c.fingerprint == version.fingerprint)
        connection.execute(this.values(canary=wrong))
    for dry_run in (True, False):
        with pytest.raises(CanaryFailed, match="canary pictures otherwise"):
            promote(wiring, version.fingerprint, actor="ann", dry_run=dry_run)
    assert wiring.registry.current(Alias.CHAMPION) is None, "nothing was named, what is installed neither"
    with writing(wiring.engine) as connection:
        connection.execute(this.values(canary=None))  # registered by an older program
    assert promote(wiring, version.fingerprint, actor="ann").move is not None


def test_it_takes_little_time(tmp_path: Path) -> None:
    """With the weights that ship it is 1.5 s of a core; this holds the pictures themselves down."""
    predictor = Predictor.setup(save_tiny_model(tmp_path / "tiny.safetensors"))
    canary_of(predictor)
    begun = time.process_time()
    canary_of(predictor)
    assert time.process_time() - begun < 2
