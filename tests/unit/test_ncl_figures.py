"""The pictures of an evaluation: which cases are shown, that colours mean the same everywhere, that bars are true."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from ncl_model.evaluation.charts import SERIES_COLOURS, bar_chart
from ncl_model.evaluation.colours import coloured, scale_colours
from ncl_model.evaluation.lettering import drawable, fitted, font, width
from ncl_model.evaluation.records import ImageRecord
from ncl_model.evaluation.sheet import Column, Panel, chosen_cases, draw_sheet


def record(name: str, *, f1: float = math.nan, score: float = 0.5, label: bool = True) -> ImageRecord:
    return ImageRecord(name=name, group="g", label=label, score=score, f1=f1, iou=f1, auc=f1)


def names(columns: list[Column]) -> list[list[str]]:
    return [[each.name for each in column.records] for column in columns]


# --- cases ---


def test_best_median_and_worst_are_shown() -> None:
    records = [record(f"t{i:02}", f1=i / 20) for i in range(21)]
    records += [record(f"a{i:02}", score=i / 20, label=False) for i in range(21)]
    tampered, authentic = chosen_cases(records)
    assert names(tampered) == [["t20", "t19", "t18"], ["t11", "t10", "t09"], ["t02", "t01", "t00"]]
    assert names(authentic) == [["a20", "a19", "a18"], ["a11", "a10", "a09"], ["a02", "a01", "a00"]]


@pytest.mark.parametrize("count", range(13))
def test_no_image_is_shown_twice(count: int) -> None:
    bands = chosen_cases([record(f"t{i}", f1=i / 20) for i in range(count)])
    shown = [name for columns in bands for column in names(columns) for name in column]
    assert len(shown) == len(set(shown)) == min(9, count // 3 * 3 if count >= 3 else count)


def test_images_without_figures_are_not_cases() -> None:
    bad = ImageRecord(name="bad", group="g", label=True, problem="corrupt")
    assert chosen_cases([bad]) == []


def test_tampered_images_without_a_mask_are_shown_by_their_scores() -> None:
    records = [record(f"n{i}", score=i / 20) for i in range(12)] + [record("t", f1=0.5), record("a", label=False)]
    bands = chosen_cases(records)
    assert [band[0].head for band in bands] == [
        "best: highest F1",
        "tampered, no mask: highest score",
        "authentic, highest score",
    ]
    assert [r.name for r in bands[1][0].records] == ["n11", "n10", "n9"]
    assert [r.name for r in bands[1][2].records] == ["n2", "n1", "n0"]


# --- colours ---


def test_a_colour_means_the_same_probability_on_every_map() -> None:
    faint, loud = np.full((2, 2), 0.25), np.array([[0.25, 0.25], [0.25, 1.0]])
    assert (coloured(faint)[0, 0] == coloured(loud)[0, 0]).all()
    assert (coloured(np.array([[0.0, 1.0]]))[0] == scale_colours()[[0, 255]]).all()
    lightness = scale_colours().astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > -0.5).all()


def panel(record: ImageRecord) -> Panel:
    mask = np.zeros((40, 60), np.bool_)
    mask[:20] = True
    photo = np.full((40, 60, 3), (10, 200, 30), np.uint8)
    probabilities = np.full((20, 30), 0.5, np.float32)
    return Panel(photo=photo, mask=mask if record.label else None, probabilities=probabilities)


def area(sheet: Image.Image, colour: tuple[int, ...] | np.ndarray) -> int:
    return int((np.asarray(sheet) == np.asarray(colour, dtype=np.uint8)).all(axis=2).sum())


def test_the_sheet_shows_photograph_mask_and_map() -> None:
    bands = chosen_cases([record("t", f1=0.5), record("a", label=False)])
    sheet = draw_sheet("title", "subtitle", bands, panel)
    box = 208 * 139
    middle = coloured(np.array([[0.5]]))[0, 0]
    assert area(sheet, (10, 200, 30)) == pytest.approx(2 * box, rel=0.03)
    assert area(sheet, middle) == pytest.approx(2 * box, rel=0.03)
    assert area(sheet, (38, 40, 44)) == pytest.approx(1.5 * box, rel=0.03)  # half a mask, and a whole empty one


def test_names_that_are_long_or_cannot_be_drawn_do_no_harm() -> None:
    evil = record("x" * 5000 + "\n\u202e\x00\u6587.jpg", f1=0.5)
    assert draw_sheet("t\n" * 99, "s" * 9999, chosen_cases([evil]), panel).width < 3000
    face = font(13)
    assert drawable("a\nb\u202e\x00\udcff", face) == "a\\nb\\u202e\\x00\\udcff"
    for room in (40, 200, 1000):
        shown = fitted("folder/" * 90 + "end.jpg", face, room)
        assert width(shown, face) <= room
        assert shown.endswith("g")
    assert fitted("short", face, 400) == "short"


# --- the chart ---


def test_bars_are_as_high_as_their_values() -> None:
    chart = bar_chart("t", "s", ["one", "two"], [("first", [1.0, 0.5]), ("second", [0.25, math.nan])])
    pixels = np.asarray(chart)[104:]  # below the legend

    def heights(colour: tuple[int, int, int]) -> list[int]:
        columns = (pixels == np.array(colour)).all(axis=2).sum(axis=0)
        runs = np.split(columns, np.flatnonzero(np.diff((columns > 0).astype(int))) + 1)
        return [int(run.max()) for run in runs if run.max() > 0]

    assert heights(SERIES_COLOURS[0]) == pytest.approx([340, 170], abs=3)
    assert heights(SERIES_COLOURS[1]) == pytest.approx([85], abs=3)  # what is not defined has no bar
