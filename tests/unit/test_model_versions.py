"""Copies of weights by fingerprint: what a job is pinned to can be hosted after an upgrade."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.builders import entries, entry, ready_job, scored
from support.odd_images import encoded, photo
from support.tiny_model import save_tiny_model

from jobs.domain import ModelRef
from jobs.errors import AccessDenied
from jobs.storage import FolderStorage, MemoryStorage, S3Options
from jobs.verdicts import FoundVerdict
from nclscreen.catalog import InstalledModel, ModelLibrary, ModelVersions, WeightsNotFound
from nclscreen.cli.app import run
from nclscreen.services.comparison_picture import comparison_picture
from nclscreen.surroundings import load_settings
from nclscreen.wiring import Wiring, wire


def versions(weights: Path, folder: Path) -> ModelVersions:
    return ModelVersions(InstalledModel(weights, "float32"), ModelLibrary(FolderStorage.at(folder)), S3Options())


def test_what_was_installed_before_is_found_by_its_fingerprint(tmp_path: Path) -> None:
    weights = save_tiny_model(tmp_path / "weights.safetensors")
    before = versions(weights, tmp_path / "models with space")
    old = InstalledModel(weights, "float32").fingerprint
    assert before.obstacle(old) is None
    assert before.keep_installed() is None

    save_tiny_model(weights, seed=1)  # an upgrade that writes over the file
    after = versions(weights, tmp_path / "models with space")
    assert InstalledModel(weights, "float32").fingerprint != old
    assert after.obstacle(old) is None
    assert after.version(old).predictor().fingerprint == old
    assert after.keep_installed() is None
    assert len(list((tmp_path / "models with space").glob("*.safetensors"))) == 2


def test_what_was_never_here_is_told_with_the_place_where_it_would_be(tmp_path: Path) -> None:
    found = versions(save_tiny_model(tmp_path / "weights.safetensors"), tmp_path / "models")
    place = f"file://{tmp_path}/models/{'f' * 64}.safetensors"
    told = str(found.obstacle("f" * 64))
    assert f"not known here: neither installed, nor at {place}" in told
    for setting in ("NCLSCREEN_WEIGHTS", "NCLSCREEN_MODELS_URI"):
        assert setting in told
    with pytest.raises(WeightsNotFound, match=r"ffffffffffff were not found: .*shipped holds other weights"):
        found.version("f" * 64).load()


def test_a_copy_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    weights = save_tiny_model(tmp_path / "weights.safetensors")
    fingerprint = InstalledModel(weights, "float32").fingerprint
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{fingerprint}.safetensors").write_bytes(b"half of it")
    assert versions(weights, tmp_path / "models").version(fingerprint).predictor().fingerprint == fingerprint


def test_a_copy_is_written_once(tmp_path: Path) -> None:
    class Counted(MemoryStorage):
        writes = 0

        def write(self, *args: object, **named: object) -> str:
            self.writes += 1
            return super().write(*args, **named)  # type: ignore[arg-type]

    storage = Counted("memory://models")
    weights = save_tiny_model(tmp_path / "weights.safetensors")
    for _ in range(2):
        library = ModelLibrary(storage, "kept/")
        library.keep("ab" * 32, weights)
        library.keep("ab" * 32, weights)
    assert storage.writes == 1
    assert library.place("ab" * 32) == f"memory://models/kept/{'ab' * 32}.safetensors"


def test_a_place_that_takes_no_copies_is_told_and_stops_nobody(tmp_path: Path) -> None:
    class Full(MemoryStorage):
        def write(self, *args: object, **named: object) -> str:
            raise AccessDenied(self.container, "read-only")

    weights = save_tiny_model(tmp_path / "weights.safetensors")
    library = ModelLibrary(Full("memory://models"))
    note = ModelVersions(InstalledModel(weights, "float32"), library, S3Options()).keep_installed()
    assert (
        note == "no copy of the model's weights can be kept, jobs will need these very ones: memory://models: read-only"
    )


@pytest.mark.usefixtures("photos")
def test_submitting_keeps_a_copy(wiring: Wiring, tmp_path: Path) -> None:
    assert run(["submit", "photos"]) == 0
    assert os.listdir(tmp_path / "home" / "models") == [f"{wiring.model.fingerprint}.safetensors"]


def test_a_heatmap_of_an_old_model_is_computed_by_that_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "weights.safetensors")))
    wire.cache_clear()
    old = Wiring(load_settings())
    assert old.versions.keep_installed() is None
    save_tiny_model(tmp_path / "weights.safetensors", seed=1)
    new = Wiring(load_settings())
    (tmp_path / "photo.png").write_bytes(encoded(photo(), "PNG"))
    job = new.jobs.get(ready_job(new.engine, entries(1), model=old.model.ref))
    verdict = scored(0, entry("photo.png", container=tmp_path.as_uri()))
    found = FoundVerdict(
        job_id=job.id, model=job.model, threshold=job.threshold, verdict=replace(verdict, map_uri=None)
    )
    assert comparison_picture(new, job, found).width > 0
    gone = replace(job, model=ModelRef(name="gone", fingerprint="f" * 64))
    with pytest.raises(WeightsNotFound):
        comparison_picture(new, gone, found)
    new.engine.dispose()
    wire.cache_clear()
