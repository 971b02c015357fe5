"""The evaluation of sets: figures at native size, bad files, and what is left behind."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_sets import make_authentic, make_indexed, mask_pixels, save_as_jpeg
from support.tiny_model import save_lively_model

from ncl_model.data.resaving import resave, settings_of
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid, OutputUnwritable
from ncl_model.evaluation.__main__ import main
from ncl_model.evaluation.equal_saving import EqualSaving
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.evaluation.figures import LabelledSet, evaluate, judged, summarize
from ncl_model.evaluation.out_folder import file_stem
from ncl_model.evaluation.records import ImageRecord, at_size, judge
from ncl_model.evaluation.tables import csv_row, markdown_table, text_table
from ncl_model.imaging.decoding import decode_photo
from ncl_model.inference.predictor import Predictor
from ncl_model.metrics import auc, pixel_f1


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor.setup(weights)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight photographs in four groups, every second one tampered."""
    return make_indexed(tmp_path / "sets" / "one")


def one(folder: Path) -> LabelledSet:
    (labelled,) = read_sets([folder])
    return labelled


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- records ---


def test_a_record_has_the_figures_of_the_map_at_the_masks_size(predictor: Predictor, tmp_path: Path) -> None:
    """A photograph beyond the working size: the map is enlarged, the mask stays as it is."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 700, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    mask = mask_pixels(size=(700, 300))
    Image.fromarray(mask).save(tmp_path / "m.png")
    sample = Sample(image=tmp_path / "a.png", mask=tmp_path / "m.png", group="g")

    record = judge(predictor, sample, "a.png")

    image = predictor.decode((tmp_path / "a.png").read_bytes())
    assert (image.valid_height, image.valid_width) == (219, 512)
    small = predictor.predict(image.pixels[None])[0, :219, :512]
    large = np.asarray(Image.fromarray(small).resize((700, 300), Image.Resampling.BILINEAR))
    assert record.f1 == pytest.approx(pixel_f1(large, mask > 127))
    assert record.auc == pytest.approx(auc(large, mask > 127))
    assert record.score == pytest.approx(predictor.localize([image])[0].score, abs=1e-7)
    assert (record.width, record.height, record.tampered_share) == (700, 300, 0.25)
    assert record.bytes == (tmp_path / "a.png").stat().st_size


def test_authentic_images_have_no_pixel_figures(predictor: Predictor, folder: Path) -> None:
    records = list(judged(predictor, one(folder)))
    assert [record.label for record in records] == [False, True] * 4
    assert all(math.isnan(r.f1) and math.isnan(r.auc) and r.tampered_share == 0 for r in records if not r.label)
    assert all(0 <= r.f1 <= 1 and 0 <= r.iou <= r.f1 and 0 <= r.auc <= 1 for r in records if r.label)
    assert [record.name for record in records][:2] == ["0.png", "1.png"]


def test_what_cannot_be_judged_becomes_a_record_with_the_reason(predictor: Predictor, folder: Path) -> None:
    (folder / "images/0.png").write_bytes(b"")
    (folder / "images/1.png").unlink()
    (folder / "masks/3.png").write_bytes(b"nothing")
    Image.fromarray(mask_pixels(size=(20, 30))).save(folder / "masks/5.png")
    (folder / "masks/7.png").unlink()

    records = list(judged(predictor, one(folder)))

    problems = {record.name: record.problem for record in records if record.problem}
    assert set(problems) == {"0.png", "1.png", "3.png", "5.png", "7.png"}
    assert "no bytes" in str(problems["0.png"])
    assert "No such file" in str(problems["1.png"])
    assert "3.png" in str(problems["3.png"])
    assert "the mask is 20x30, the photograph 48x32" in str(problems["5.png"])
    assert "mask" in str(problems["7.png"])
    evaluation = summarize(records, rounds=0)
    assert (evaluation.tampered, evaluation.authentic, evaluation.unreadable) == (0, 3, 5)
    assert math.isnan(evaluation.pixel_f1)
    assert math.isnan(evaluation.image_auc)


def test_a_map_is_brought_to_another_size_and_left_alone_at_its_own() -> None:
    ramp = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    assert at_size(ramp, (3, 4)) is ramp
    grown = at_size(ramp, (6, 8))
    assert grown.shape == (6, 8)
    assert 0 <= grown.min() < grown.max() <= 1


# --- figures ---


def record(name: str, *, group: str, label: bool, score: float, f1: float = math.nan) -> ImageRecord:
    return ImageRecord(name=name, group=group, label=label, score=score, f1=f1, iou=f1, auc=f1)


RECORDS = [
    record("a", group="1", label=True, score=0.9, f1=0.5),
    record("b", group="1", label=True, score=0.2, f1=0.1),
    record("c", group="2", label=True, score=0.8),  # its mask is empty
    record("d", group="2", label=False, score=0.7),
    record("e", group="3", label=False, score=0.1),
    dataclasses.replace(record("f", group="3", label=True, score=0.99, f1=1.0), problem="corrupt"),
]


def test_pixel_figures_are_means_over_tampered_images_and_ranking_over_all() -> None:
    evaluation = summarize(RECORDS)
    assert (evaluation.tampered, evaluation.authentic, evaluation.with_pixels, evaluation.unreadable) == (3, 2, 2, 1)
    assert evaluation.pixel_f1 == pytest.approx(0.3)
    assert evaluation.image_auc == pytest.approx(5 / 6)
    assert evaluation.recall_at_fpr5 == pytest.approx(2 / 3)
    low, high = evaluation.intervals["image_auc"]
    assert low < 5 / 6 <= high


def test_the_order_of_the_images_changes_nothing() -> None:
    assert str(summarize(RECORDS[::-1])) == str(summarize(RECORDS))  # as text: NaN differs from itself


def test_the_same_photographs_give_the_same_figures_again(predictor: Predictor, folder: Path) -> None:
    assert str(evaluate(predictor, one(folder).samples)) == str(evaluate(predictor, one(folder).samples))


def test_a_limit_is_spread_over_the_list(folder: Path) -> None:
    (labelled,) = read_sets([folder], limit=4)
    assert [sample.image.name for sample in labelled.samples] == ["0.png", "2.png", "4.png", "6.png"]
    assert len(read_sets([folder], limit=99)[0].samples) == 8


# --- a whole evaluation ---


def test_everything_is_written(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    photographs = make_authentic(tmp_path / "sets" / "others")
    (folder / "images/0.png").write_bytes(b"")
    out = tmp_path / "new" / "out"
    evaluated = EvaluationRun(predictor, out, robustness=True)
    seen: list[tuple[int, int, str]] = []

    def look(*step: object) -> None:
        seen.append(step)  # type: ignore[arg-type]
        assert len(rows_of(out / "images.csv")) == len(seen)  # on disk as soon as it is judged

    evaluated.run(read_sets([folder, photographs]), look)

    assert seen[-1] == (6, 6, "sets/others")
    stems = {"sets-one", "sets-others"}
    pictures = {f"sheet_{stem}.jpg" for stem in stems} | {f"robustness_{stem}.png" for stem in stems}
    tables = {"images.csv", "figures.csv", "figures.md", "robustness.csv", "robustness.md"}
    assert {path.name for path in out.iterdir()} - {".lock"} == pictures | tables
    for name in pictures:
        with Image.open(out / name) as picture:
            picture.load()
            assert min(picture.size) > 100
    rows = rows_of(out / "images.csv")
    assert len(rows) == 14
    assert rows[0]["problem"]
    assert 0 <= float(rows[1]["f1"]) <= 1
    figures = rows_of(out / "figures.csv")
    assert [row["set"] for row in figures] == ["sets/one", "sets/others"]
    assert (figures[0]["tampered"], figures[0]["authentic"], figures[0]["unreadable"]) == ("4", "3", "1")
    assert float(figures[0]["image_auc_low"]) <= float(figures[0]["image_auc"]) <= float(figures[0]["image_auc_high"])
    assert figures[1]["pixel_f1"] == ""  # nothing tampered: undefined, not 0
    robustness = rows_of(out / "robustness.csv")
    assert len(robustness) == 18
    assert robustness[0]["distortion"] == "clean"
    assert robustness[0]["pixel_f1"] == figures[0]["pixel_f1"]
    assert {row["tampered"] for row in robustness[:9]} == {"4"}
    assert "1 of 8 images could not be judged" in (out / "figures.md").read_text()


def test_distortions_change_the_photograph_and_not_the_mask(predictor: Predictor, folder: Path) -> None:
    evaluated = EvaluationRun(predictor, robustness=True)
    evaluated.run([one(folder)])
    (result,) = evaluated.results
    clean, small = result.distorted["clean"], result.distorted["resize 0.25"]
    assert clean == result.records or str(clean) == str(result.records)
    assert [r.tampered_share for r in small] == [r.tampered_share for r in clean]
    assert [r.score for r in small] != [r.score for r in clean]
    assert all(r.problem is None for records in result.distorted.values() for r in records)


def test_authentic_photographs_are_saved_again_as_tampered_ones_were(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    save_as_jpeg(folder, {True: 50, False: 95})
    labelled = one(folder)
    tampered, authentic = (
        [s.image for s in labelled.samples if (s.mask is not None) is wanted] for wanted in (True, False)
    )
    saving = EqualSaving.like(labelled.samples)
    assert set(saving.settings) == {settings_of(tampered[0].read_bytes())}
    assert len(saving.settings) == len(tampered)
    data = authentic[0].read_bytes()
    assert saving(data) == saving(data)
    expected = resave(decode_photo(data), saving.settings[0])
    np.testing.assert_array_equal(decode_photo(saving(data)), expected)

    out = tmp_path / "out"
    evaluated = EvaluationRun(predictor, out, resave=True)
    evaluated.run([labelled])
    (result,) = evaluated.results
    pairs = [(a.score, b.score) for a, b in zip(result.records, result.resaved, strict=True) if not a.label]
    assert all(a != b for a, b in pairs)
    assert [r for r in result.resaved if r.label] == [r for r in result.records if r.label]
    rows = rows_of(out / "figures.csv")
    assert [row["set"] for row in rows] == ["sets/one", "sets/one, authentic resaved"]
    assert rows[0]["pixel_f1"] == rows[1]["pixel_f1"]
    assert "authentic resaved" in (out / "figures.md").read_text()


def test_without_tampered_jpeg_files_there_is_nothing_to_save_like(predictor: Predictor, folder: Path) -> None:
    evaluated = EvaluationRun(predictor, resave=True)
    evaluated.run([one(folder)])  # PNG
    assert evaluated.results[0].resaved_evaluation is None
    assert EqualSaving.like([])(b"as it is") == b"as it is"


def test_ctrl_c_leaves_what_was_judged(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    evaluated = EvaluationRun(predictor, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        evaluated.run([one(folder)], stop)

    assert len(rows_of(tmp_path / "out/images.csv")) == 5
    (figures,) = rows_of(tmp_path / "out/figures.csv")
    assert (figures["complete"], figures["tampered"], figures["authentic"]) == ("0", "2", "3")
    assert "broken off after 5 of 8 images" in (tmp_path / "out/figures.md").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir() if "partial" in path.name] == []


def test_a_folder_that_cannot_be_written_is_named(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="file"):
        EvaluationRun(predictor, tmp_path / "file").run([one(folder)])


def test_sets_with_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [make_indexed(tmp_path / place / "x" / "set", count=2) for place in "ab"]
    assert [labelled.name for labelled in read_sets(folders)] == ["x/set", "x/set (2)"]
    with pytest.raises(DatasetInvalid):
        read_sets([tmp_path / "nowhere"])


def test_names_become_file_names_that_are_safe() -> None:
    assert file_stem("casia1/test") == "casia1-test"
    assert file_stem("../../ü b|c") == "b-c"
    assert file_stem("...") == "set"


def test_names_of_files_cannot_break_the_tables() -> None:
    evil = "=cmd|'x'!A1`\n<b>"
    assert csv_row([evil, 0.5, float("nan"), None, True]) == "\"'=cmd|'x'!A1`\n<b>\",0.5,,,1\n"
    assert csv_row([-0.5, "-x"]) == "-0.5,'-x\n"
    table = markdown_table(["name"], [[evil]])
    assert table.count("\n") == 3
    assert "\\|" in table
    assert "\\<b\\>" in table
    assert text_table(["n"], [["a\x1b[31m\nb"]]).count("\n") == 2


def test_names_of_files_cannot_write_to_the_terminal(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[31mset"
    make_authentic(folder, count=3, regions=False)
    (folder / "b\x1b[32m.jpg").write_bytes(b"")
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    assert main(["--weights", str(weights), "--data", str(folder), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "b\\x1b[32m.jpg" in told.out
    assert "2 of 5 images" in (tmp_path / "out/figures.md").read_text(encoding="utf-8")
    assert len(rows_of(tmp_path / "out/images.csv")) == 5


# --- the program ---


def test_the_program_prints_figures_and_says_what_it_could_not_read(
    weights: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--weights", str(weights), "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (figures,) = document["sets"]
    assert (figures["tampered"], figures["authentic"], figures["complete"]) == (4, 4, True)
    assert document["model"]["score_rule"] == "top_mean 0.01"

    (folder / "images/0.png").write_bytes(b"")
    assert main(command) == 1
    told = capsys.readouterr()
    assert "1 of 8 images could not be judged" in told.out
    assert "8/8" in told.err


def test_evaluation_and_release_need_nothing_but_the_four_libraries() -> None:
    """They also run on a GPU box that has torch, numpy, pillow and safetensors and nothing else."""
    blocked = "{'typer', 'rich', 'ray', 'sqlalchemy', 'boto3', 'pydantic', 'yaml', 'tensorboard', 'sklearn', 'scipy'}"
    code = f"""
import sys
import ncl_model.evaluation.figures, ncl_model.evaluation.evaluation_run, ncl_model.release
loaded = {{name.partition('.')[0] for name in sys.modules}}
sys.exit(', '.join(sorted(loaded & {blocked})) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
