"""Labels without masks: folders named for what they hold, a column `label`, and what may be done with them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.data_sets import HEIGHT, WIDTH, make_authentic, make_indexed, save_mask, save_photo
from support.tiny_model import save_lively_model

from ncl_model.data.datasets import find_sources, read_source
from ncl_model.data.inspection import inspect_sources
from ncl_model.data.packing import pack
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid
from ncl_model.evaluation.__main__ import main as evaluation
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.inference.predictor import Predictor
from ncl_model.training.material import Material


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.setup(save_lively_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors"))


def make_named(root: Path, *, tampered: int = 3, authentic: int = 4, masks: int = 0) -> Path:
    """`tampered/` and `authentic/`, and `masks/` for the first few."""
    for i in range(tampered):
        save_photo(root / f"tampered/t{i}.jpg", seed=i)
        if i < masks:
            save_mask(root / f"masks/t{i}.png")
    for i in range(authentic):
        save_photo(root / f"authentic/a{i}.jpg", seed=100 + i)
    return root


def labels(samples: list[Sample]) -> list[tuple[str, bool, bool]]:
    return [(sample.image.name, sample.tampered, sample.mask is not None) for sample in samples]


# --- what is read ---


@pytest.mark.parametrize("name", ["tampered", "Tampered", "forged", "fake", "manipulated", "spliced"])
def test_a_folder_called_tampered_is_never_taken_for_authentic(name: str, tmp_path: Path) -> None:
    make_authentic(tmp_path / name, count=2, regions=False)
    (source,) = find_sources([tmp_path / name])
    assert [sample.tampered for sample in source.samples] == [True, True]
    assert source.labelled
    assert source.layout == "tampered photographs"


def test_a_folder_of_images_inside_one_called_tampered_is_tampered_too(tmp_path: Path) -> None:
    save_photo(tmp_path / "tampered/images/a.jpg")
    assert [sample.tampered for sample in read_source(tmp_path / "tampered/images")] == [True]


def test_two_folders_named_for_what_they_hold_are_a_source(tmp_path: Path) -> None:
    (source,) = find_sources([make_named(tmp_path / "sets")])
    assert source.layout == "named folders"
    found = [(f"a{i}.jpg", False, False) for i in range(4)] + [(f"t{i}.jpg", True, False) for i in range(3)]
    assert labels(source.samples) == found


def test_masks_beside_them_are_found_by_name(tmp_path: Path) -> None:
    root = make_named(tmp_path / "sets", authentic=1, masks=2)
    found = [("t0.jpg", True, True), ("t1.jpg", True, True), ("t2.jpg", True, False)]
    assert labels(read_source(root)) == [("a0.jpg", False, False), *found]
    assert labels(read_source(root / "tampered")) == found


def test_a_photograph_and_its_tampered_version_are_one_group(tmp_path: Path) -> None:
    save_photo(tmp_path / "tampered/x.jpg")
    save_photo(tmp_path / "original/x.jpg", seed=1)
    assert [sample.group for sample in read_source(tmp_path)] == ["x", "x"]


def test_other_photographs_beside_them_make_it_several_sources(tmp_path: Path) -> None:
    root = make_named(tmp_path / "sets")
    save_photo(root / "holiday/b.jpg")
    with pytest.raises(DatasetInvalid, match="holds several sources, authentic, holiday, tampered: name the ones"):
        read_source(root)


def test_a_list_may_say_the_label_where_there_is_no_mask(tmp_path: Path) -> None:
    for name in "abcd":
        save_photo(tmp_path / f"{name}.png", seed=ord(name))
    save_mask(tmp_path / "m.png")
    (tmp_path / "index.csv").write_text("image,mask,group,label\na.png,,1,1\nb.png,,2,0\nc.png,m.png,3,1\nd.png,,4,\n")
    assert [(s.tampered, s.mask is not None) for s in read_source(tmp_path)] == [
        (True, False),
        (False, False),
        (True, True),
        (False, False),
    ]
    (tmp_path / "index.csv").write_text("image,group,label\na.png,1,1\nb.png,2,0\n")  # no masks at all
    assert [s.tampered for s in read_source(tmp_path)] == [True, False]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a.png,,1,yes", "line 2: label is 'yes'; it must be 1 (tampered), 0 (authentic), or empty"),
        ("a.png,m.png,1,0", "line 2: label is 0 (authentic), but a mask is named"),
    ],
)
def test_labels_that_say_nothing_or_contradict_are_told(row: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(f"image,mask,group,label\n{row}\n")
    with pytest.raises(DatasetInvalid) as caught:
        read_source(tmp_path)
    assert says in str(caught.value)


def test_without_masks_and_without_labels_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("image,group\na.png,1\n")
    with pytest.raises(DatasetInvalid, match="no column mask or label"):
        read_source(tmp_path)


def test_a_sample_without_mask_cannot_be_authentic_and_tampered() -> None:
    with pytest.raises(ValueError, match="a mask"):
        Sample(image=Path("a"), mask=Path("m"), group="g", unmasked=True)


# --- what is done with it ---


def test_image_figures_need_no_masks_and_pixel_figures_say_why_there_are_none(
    predictor: Predictor, tmp_path: Path
) -> None:
    run = EvaluationRun(predictor, tmp_path / "out")
    run.run(read_sets([make_named(tmp_path / "sets")]))
    evaluation = run.results[0].evaluation
    assert evaluation is not None
    assert (evaluation.tampered, evaluation.authentic, evaluation.with_pixels, evaluation.unreadable) == (3, 4, 0, 0)
    assert 0 <= evaluation.image_auc <= 1
    assert 0 <= evaluation.recall_at_fpr5 <= 1
    assert math.isnan(evaluation.pixel_f1)
    page = (tmp_path / "out/figures.md").read_text()
    assert "no tampered photograph has a mask, so there are no pixel figures" in page
    rows = (tmp_path / "out/images.csv").read_text().splitlines()
    # the share that is tampered is not known, which is not the same as nothing
    assert [row.split(",")[11] for row in rows] == ["tampered_share", "0.0", "0.0", "0.0", "0.0", "", "", ""]


def test_the_program_evaluates_a_folder_called_tampered_as_tampered(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_named(tmp_path / "sets", masks=1)
    weights = save_lively_model(tmp_path / "tiny.safetensors")
    assert evaluation(["--weights", str(weights), "--data", str(root / "tampered"), "--json"]) == 0
    (figures,) = json.loads(capsys.readouterr().out)["sets"]
    assert (figures["tampered"], figures["authentic"], figures["with_pixels"]) == (3, 0, 1)
    assert figures["image_auc"] is None
    assert evaluation(["--weights", str(weights), "--data", str(root / "tampered")]) == 0
    told = capsys.readouterr().out
    assert "2 of 3 tampered photographs have no mask, or an empty one: pixel figures are over the others" in told
    assert "no authentic photographs, so there is no image AUC" in told


def test_nothing_is_learnt_from_what_no_mask_marks(tmp_path: Path) -> None:
    """Taken for authentic, they would teach the network that tampering is none."""
    root = make_named(tmp_path / "sets", tampered=4, masks=2)
    others = make_indexed(tmp_path / "others", count=12)
    with pytest.raises(DatasetInvalid, match=r"t2\.jpg: tampered with, but no mask says where"):
        Material.load([root, others], held_out=0.3, seed=1)
    material = Material.load([root, others], held_out=0.3, seed=1, leave_out_bad=True)
    assert material.described["left_out"] == 2
    assert not [sample for sample in material.validation if sample.unmasked]


def test_a_recipe_may_learn_from_labels_alone(tmp_path: Path) -> None:
    root = make_named(tmp_path / "sets", tampered=12, masks=2)
    others = make_indexed(tmp_path / "others", count=12)
    material = Material.load([root, others], held_out=0.3, seed=1, labels_alone=True)
    assert 0 < len(material.unmasked) < 10
    assert material.described["unmasked"] == len(material.unmasked)
    assert material.described["unmasked_in_all"] == 10
    assert not [sample for sample in material.validation if sample.unmasked]
    authentic = len(material.authentic) + sum(not sample.tampered for sample in material.validation)
    assert authentic == 4 + 6, "none of them is taken for authentic"
    material.check_shares(people=0.4, synthetic=0, weak=0.2)
    with pytest.raises(DatasetInvalid, match="every tampered photograph has a mask: set weak to 0"):
        Material.load([others], held_out=0.3, seed=1).check_shares(people=0.4, synthetic=0, weak=0.2)


# --- masks that are known in parts ---


def make_scribbled(folder: Path, count: int = 12) -> Path:
    """As `make_indexed`, and of every mask only the upper half is known."""
    make_indexed(folder, count=count)
    save_mask(folder / "known.png", size=(WIDTH, HEIGHT))
    rows = (folder / "index.csv").read_text().splitlines()
    told = [f"{row},{'known.png' if row.split(',')[1] else ''}" for row in rows[1:]]
    (folder / "index.csv").write_text("\n".join([f"{rows[0]},known", *told]))
    return folder


def test_a_mask_may_be_known_in_parts(tmp_path: Path) -> None:
    """Scribbles: a second picture says where the mask means anything."""
    material = Material.load(
        [make_scribbled(tmp_path / "data"), make_authentic(tmp_path / "more")], held_out=0.3, seed=1
    )
    assert material.described["scribbled"] == len(material.tampered) > 0
    assert not [sample for sample in material.validation if sample.tampered], "no figure can be had from them"
    for _, truth in material.tampered:
        assert (truth[: HEIGHT // 2, : WIDTH // 2] == 1).all()
        assert (truth[HEIGHT // 2 :] == 2).all()
        assert (truth[:, WIDTH // 2 :] == 2).all()


def test_parts_of_masks_go_into_packs(tmp_path: Path) -> None:
    before = read_source(make_scribbled(tmp_path / "data"))
    pack(find_sources([tmp_path / "data"]), tmp_path / "PACK")
    again = read_source(tmp_path / "PACK", work=tmp_path / "work")
    for ours, theirs in zip(before, again, strict=True):
        assert (ours.known is None) == (theirs.known is None)
        if ours.known is not None and theirs.known is not None:
            assert ours.known.read_bytes() == theirs.known.read_bytes()


def test_pixel_figures_are_not_had_from_parts_of_masks(predictor: Predictor, tmp_path: Path) -> None:
    run = EvaluationRun(predictor)
    run.run(read_sets([make_scribbled(tmp_path / "data")]))
    evaluation = run.results[0].evaluation
    assert evaluation is not None
    assert (evaluation.tampered, evaluation.with_pixels) == (6, 0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("images/0.png,,g,known.png", "known is named, but no mask"),
        ("images/1.png,masks/1.png,g,nowhere.png", "no file .*nowhere.png"),
        ("images/1.png,masks/1.png,g,small.png", "where the mask is known, is 8x8 pixels, but its image 48x32"),
        ("images/1.png,masks/1.png,g,never.png", "says that the mask is known nowhere"),
        ("images/1.png,masks/1.png,g,index.csv", "index.csv cannot be read"),
    ],
)
def test_what_is_wrong_with_where_it_is_known_is_told(row: str, message: str, tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "data", count=8)
    save_mask(folder / "small.png", size=(8, 8))
    save_mask(folder / "never.png", value=0)
    rows = (folder / "index.csv").read_text().splitlines()
    (folder / "index.csv").write_text("\n".join([f"{rows[0]},known", *(f"{each}," for each in rows[1:]), row]))
    with pytest.raises(DatasetInvalid, match=message):
        Material.load([folder], held_out=0.3, seed=1)


def test_they_can_be_looked_into_and_packed(tmp_path: Path) -> None:
    root = make_named(tmp_path / "sets", masks=1)
    found = inspect_sources([root])
    assert (found.sources[0].tampered, found.sources[0].authentic) == (3, 4)
    assert not found.problems
    assert any("2 tampered photographs have no mask" in note for note in found.sources[0].notes)
    pack(find_sources([root]), tmp_path / "PACK")
    again = read_source(tmp_path / "PACK", work=tmp_path / "work")
    assert sorted((s.tampered, s.mask is not None) for s in again) == sorted(
        (s.tampered, s.mask is not None) for s in read_source(root)
    )


def test_half_of_the_masks_are_no_reason_to_leave_the_others_out(predictor: Predictor, tmp_path: Path) -> None:
    run = EvaluationRun(predictor)
    run.run(read_sets([make_named(tmp_path / "sets", tampered=4, masks=2)]))
    evaluation = run.results[0].evaluation
    assert evaluation is not None
    assert (evaluation.tampered, evaluation.with_pixels) == (4, 2)
    known = [r.f1 for r in run.results[0].records if r.f1 == r.f1]
    assert evaluation.pixel_f1 == pytest.approx(float(np.mean(known)))
