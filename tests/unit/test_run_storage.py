"""Where a training run is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import InvalidSource
from jobs.storage import S3Options
from nclscreen.run_storage import run_place


def test_a_folder_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    place = run_place("runs/a", S3Options())
    assert place.is_folder
    assert place.path == str(tmp_path / "runs/a")


def test_a_bucket_is_pyarrows_with_the_settings_endpoint() -> None:
    place = run_place("s3://models/runs/a/", S3Options(endpoint_url="http://127.0.0.1:9000", region="eu-central-1"))
    assert not place.is_folder
    assert place.path == "models/runs/a"
    assert place.filesystem.region == "eu-central-1"


@pytest.mark.parametrize("out", ["s3://models", "s3://models/", "gs://models/a", "file:///tmp/a"])
def test_other_places_are_refused(out: str) -> None:
    with pytest.raises(InvalidSource, match="s3://bucket/prefix"):
        run_place(out, S3Options())
