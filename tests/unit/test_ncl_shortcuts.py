"""Whether the label hides in how the files were saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import save_tiny_model
from training_material import forged, photo

from ncl_model.metrics import auc
from ncl_model.resaving import JpegSettings
from ncl_model.shortcuts import main, table_scores


def make_set(folder: Path, *, tampered_quality: int, authentic_quality: int, count: int = 6) -> Path:
    folder.mkdir()
    lines = ["image,mask,group"]
    for i in range(count):
        pixels, mask = forged(i)
        Image.fromarray(pixels).save(folder / f"t{i}.jpg", quality=tampered_quality)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"t{i}.png")
        Image.fromarray(photo(i + 90)).save(folder / f"a{i}.jpg", quality=authentic_quality)
        lines += [f"t{i}.jpg,t{i}.png,t{i}", f"a{i}.jpg,,a{i}"]
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


def figures(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, float]:
    assert main(["--data", str(folder), "--json", *more]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return found  # type: ignore[no-any-return]


def test_two_programs_give_the_label_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    different = make_set(tmp_path / "different", tampered_quality=80, authentic_quality=95)
    assert figures(different, capsys, "--tables-only")["tables_auc"] == 1.0
    same = make_set(tmp_path / "same", tampered_quality=90, authentic_quality=90)
    assert figures(same, capsys, "--tables-only")["tables_auc"] <= 0.5, "a file does not count for itself"


def test_a_way_of_saving_seen_once_says_nothing() -> None:
    settings = [JpegSettings(((n,) * 64,), 0) for n in range(1, 9)]
    labels = np.arange(8) % 2 == 0
    assert auc(table_scores(settings, labels), labels) == 0.5
    assert table_scores([None, None], np.array([True, False])).tolist() == [1 / 3, 2 / 3]


def test_authentic_photographs_are_judged_as_if_saved_like_tampered_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(save_tiny_model(tmp_path / "w.safetensors"))
    as_different = figures(
        make_set(tmp_path / "different", tampered_quality=30, authentic_quality=98), capsys, "--weights", weights
    )
    assert as_different["resaved"] == as_different["authentic"] == 6
    # what the authentic files hold after being saved again is what these hold from the beginning, but for a rounding
    as_same = figures(
        make_set(tmp_path / "same", tampered_quality=30, authentic_quality=30), capsys, "--weights", weights
    )
    assert as_different["model_auc_resaved"] == pytest.approx(as_same["model_auc"], abs=0.1)


def test_the_table_and_the_progress_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(save_tiny_model(tmp_path / "w.safetensors"))
    folder = make_set(tmp_path / "set", tampered_quality=30, authentic_quality=98)
    assert main(["--data", str(folder), "--weights", weights]) == 0
    printed = capsys.readouterr()
    assert "tables AUC" in printed.out
    assert "12 of 12" in printed.err


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "nowhere"), "--tables-only"]) == 1
    assert "nowhere" in capsys.readouterr().err
