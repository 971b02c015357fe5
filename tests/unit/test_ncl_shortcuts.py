"""Whether the label hides in how the files were saved."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image
from support.training_material import forged, photo

from ncl_model.data.datasets import read_source
from ncl_model.data.inspection import inspect_sources
from ncl_model.data.shortcuts import shares, tables_auc


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


def test_two_programs_give_the_label_away(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "different", tampered_quality=80, authentic_quality=95)
    assert tables_auc(read_source(folder)) == 1.0
    (report,) = inspect_sources([folder]).sources
    assert report.tables_auc == 1.0
    assert any("quantisation tables" in note for note in report.notes)


def test_one_program_tells_nothing(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "same", tampered_quality=90, authentic_quality=90)
    assert tables_auc(read_source(folder)) <= 0.5, "a file does not count for itself"
    (report,) = inspect_sources([folder]).sources
    assert not any("quantisation tables" in note for note in report.notes)


def test_a_set_of_one_class_has_no_figure(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", tampered_quality=90, authentic_quality=90)
    tampered = [sample for sample in read_source(folder) if sample.mask is not None]
    assert math.isnan(tables_auc(tampered))


def test_a_kind_seen_once_says_nothing() -> None:
    labels = np.arange(8) % 2 == 0
    assert set(shares(range(8), labels)) == {0.5}
    assert shares("aaab", np.array([True, True, False, False])).tolist() == [0.5, 0.5, 0.75, 0.5]
