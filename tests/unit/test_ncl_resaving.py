"""Saving a photograph the way another file was saved."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ncl_model.data.resaving import JpegSettings, resave, settings_of


def photo(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.array(coarse.resize((64, 48), Image.Resampling.BICUBIC))


def saved(image: Image.Image, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **how)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [40, 75, 98])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_what_a_file_was_saved_with_is_read_and_saved_again(quality: int, subsampling: int) -> None:
    data = saved(Image.fromarray(photo()), format="JPEG", quality=quality, subsampling=subsampling)
    settings = settings_of(data)
    assert settings is not None
    assert settings.subsampling == subsampling
    other = photo(1)
    expected = saved(Image.fromarray(other), format="JPEG", quality=quality, subsampling=subsampling)
    with Image.open(io.BytesIO(expected)) as image:
        assert np.array_equal(resave(other, settings), np.array(image))


def test_coarser_tables_change_more() -> None:
    def change(step: int) -> float:
        settings = JpegSettings(((step,) * 64,) * 2, 0)
        return float(np.abs(resave(photo(), settings).astype(int) - photo()).mean())

    assert change(2) < change(10) < change(60)


def test_a_grey_file_lends_its_only_table() -> None:
    settings = settings_of(saved(Image.fromarray(photo()).convert("L"), format="JPEG", quality=60))
    assert settings is not None
    assert len(settings.tables) == 1
    assert resave(photo(), settings).shape == (48, 64, 3)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_other_formats_have_no_settings(format: str) -> None:
    assert settings_of(saved(Image.fromarray(photo()), format=format)) is None


def test_a_file_of_four_inks_has_none() -> None:
    assert settings_of(saved(Image.fromarray(photo()).convert("CMYK"), format="JPEG")) is None


@given(st.binary(max_size=200), st.integers(0, 400))
def test_broken_files_have_none_or_some_but_raise_nothing(noise: bytes, cut: int) -> None:
    whole = saved(Image.fromarray(photo()), format="JPEG", quality=75)
    settings_of(noise)
    settings_of(whole[:cut] + noise)
