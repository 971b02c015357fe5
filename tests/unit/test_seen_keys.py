"""The set of images a list has named."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from support.builders import entry

from jobs.preparation.seen_keys import SeenKeys


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_image_is_new_once() -> None:
    with SeenKeys() as seen:
        assert [seen.add(entry("a")), seen.add(entry("b")), seen.add(entry("a"))] == [True, True, False]


def test_container_key_and_version_tell_images_apart() -> None:
    with SeenKeys() as seen:
        assert seen.add(entry("a"))
        assert seen.add(entry("a", container="s3://other"))
        assert seen.add(entry("a", version_id="1"))
        assert seen.add(entry("a", version_id="2"))
        assert not seen.add(entry("a", version_id="1", size=5, etag="e"))


def test_its_file_is_gone_afterwards(temporary: Path) -> None:
    with SeenKeys() as seen:
        seen.add(entry("a"))
        assert list(temporary.iterdir())
    assert list(temporary.iterdir()) == []


def test_its_file_is_gone_after_an_error_too(temporary: Path) -> None:
    with pytest.raises(KeyError), SeenKeys():
        raise KeyError
    assert list(temporary.iterdir()) == []
