"""The demo corpus: real edits with true masks, odd files that are odd, the same bytes for the same seed."""

from __future__ import annotations

import csv
import hashlib
import math
import random
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.made_evidence import evidence

from jobs.domain import ImageKey, Verdict
from jobs.errors import ErrorCode
from ncl_model.architecture.config import NclConfig
from ncl_model.data.datasets import read_source
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import decode_image
from nclscreen.demo import DemoCorpus, build_demo_corpus, tally
from nclscreen.demo.editing import EditImpossible, copy_move, splice
from nclscreen.demo.labelled_set import write_labelled_set
from nclscreen.demo.photographs import SOURCES, DemoPhotographsMissing, Source, _load
from nclscreen.demo.regions import MAX_AREA, MIN_AREA
from nclscreen.stored_heatmaps import HeatmapMissing

CONFIG = NclConfig(geometry="fit", input_size=256)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> DemoCorpus:
    return build_demo_corpus(tmp_path_factory.mktemp("demo") / "photographs", seed=3)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def mask_of(path: Path) -> np.ndarray:
    with Image.open(path) as stored:
        return np.asarray(stored) > 0


def scored(corpus: DemoCorpus, key: str, score: float) -> Verdict:
    return Verdict(
        ordinal=0,
        container=corpus.folder.as_uri(),
        key=ImageKey(key),
        score=score,
        flagged=score >= 0.5,
        fingerprint="f",
    )


def perfect(corpus: DemoCorpus) -> list[Verdict]:
    """The verdicts of a model that is always right."""
    verdicts = []
    for image in corpus.images:
        good = scored(corpus, image.key, 0.9 if image.mask else 0.1)
        bad = replace(good, score=None, flagged=False, error_code=image.code) if image.code else good
        verdicts.append(bad)
    return verdicts


def test_there_are_sixty_files_and_nothing_else(corpus: DemoCorpus) -> None:
    groups = [image.group for image in corpus.images]
    assert {group: groups.count(group) for group in set(groups)} == {
        "authentic": 24, "splice": 12, "copy-move": 12, "odd": 12
    }  # fmt: skip
    assert {image.key for image in corpus.images} == set(digests(corpus.folder))


def test_the_truth_lies_beside_the_corpus(corpus: DemoCorpus) -> None:
    assert corpus.truth_folder.parent == corpus.folder.parent
    with (corpus.truth_folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [image.key for image in corpus.images]
    masks = {row["mask"] for row in rows if row["mask"]}
    assert len(masks) == 24
    assert masks | {"index.csv"} == set(digests(corpus.truth_folder))


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTHENTIC", "SPLICES", "COPY_MOVES"):
        monkeypatch.setattr(f"nclscreen.demo.corpus.{name}", 3)
    one, same = build_demo_corpus(tmp_path / "one", seed=3), build_demo_corpus(tmp_path / "same", seed=3)
    assert digests(same.folder) == digests(one.folder)
    assert digests(same.truth_folder) == digests(one.truth_folder)
    other = build_demo_corpus(tmp_path / "same", seed=4)
    assert set(digests(other.folder)) == set(digests(one.folder))
    assert digests(other.folder) != digests(one.folder)


def test_photographs_are_of_sensible_size_and_masks_fit_them(corpus: DemoCorpus) -> None:
    for image in corpus.images:
        if image.group == "odd":
            continue
        with Image.open(corpus.folder / image.key) as photo:
            assert 512 <= max(photo.size) <= 1024
            assert photo.format == "JPEG"
            size = photo.size
        if image.mask is not None:
            mask = mask_of(image.mask)
            assert mask.shape == (size[1], size[0])
            assert MIN_AREA * 0.9 <= mask.mean() <= MAX_AREA * 1.1


def test_edits_change_what_the_mask_says_and_leave_the_rest() -> None:
    rng = random.Random(5)
    noise = np.random.default_rng(1).integers(0, 255, (160, 200, 3))
    host = Image.fromarray(np.repeat(np.repeat(noise[::10, ::10], 10, 0), 10, 1).astype(np.uint8))
    donor = Image.linear_gradient("L").resize((180, 180)).convert("RGB")
    for edit in (splice(host, donor, rng), copy_move(host, rng)):
        change = np.abs(np.asarray(edit.photo).astype(int) - np.asarray(host).astype(int)).sum(axis=2)
        assert (change[edit.mask] > 0).mean() > 0.8
        far = np.asarray(Image.fromarray(edit.mask).convert("L").resize((20, 16), Image.Resampling.BOX)) == 0
        untouched = np.kron(far, np.ones((10, 10), dtype=bool))
        assert change[untouched].mean() < 1


def test_an_edit_that_cannot_be_seen_is_none() -> None:
    with pytest.raises(EditImpossible):
        copy_move(Image.new("RGB", (64, 64), (9, 9, 9)), random.Random(0))


def test_odd_files_end_as_the_corpus_says(corpus: DemoCorpus) -> None:
    for image in corpus.images:
        if image.group != "odd":
            continue
        data, code = (corpus.folder / image.key).read_bytes(), None
        try:
            decode_image(data, config=CONFIG)
        except ImageUnreadable as error:
            code = ErrorCode(error.code)
        assert code == image.code, image.key


def test_a_name_has_quotes_spaces_a_line_end_and_other_letters(corpus: DemoCorpus) -> None:
    assert any(all(char in image.key for char in "\n \"'写") for image in corpus.images)


def test_every_photograph_is_free_and_comes_from_an_installed_package() -> None:
    for source in SOURCES:
        assert source.licence.startswith(("CC0", "public domain"))
        assert find_spec(source.package) is not None
    for wrong in ("no_such_package", "json"):
        with pytest.raises(DemoPhotographsMissing, match=r"nclscreen\[demo\]"):
            _load(Source(name="x", package=wrong, file="x.png", licence="CC0"))


def test_the_sources_are_listed_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs/demo.md").read_text("utf-8")
    for source in SOURCES:
        assert Path(source.file).name in text
        assert source.licence.split(" (")[1].rstrip(")") in text


def test_a_perfect_model_has_a_perfect_tally(corpus: DemoCorpus) -> None:
    truth = {image.key: image.mask for image in corpus.images}

    def read(verdict: Verdict) -> np.ndarray:
        mask = truth[verdict.key]
        assert mask is not None
        return np.where(mask_of(mask), 255, 0).astype(np.uint8)

    found = tally(corpus, perfect(corpus), read)
    assert (str(found.tampered), str(found.false_alarms), str(found.odd)) == ("24 of 24", "0 of 24", "12 of 12")
    assert (found.image_auc, found.pixel_auc, found.heatmaps) == (1.0, 1.0, 24)
    assert found.pixel_f1 == pytest.approx(1.0)
    assert found.unaccounted == ()
    assert "tampered found   24 of 24" in str(found)


def test_misses_alarms_and_lost_files_are_told(corpus: DemoCorpus) -> None:
    verdicts = [
        replace(verdict, flagged=not verdict.flagged, score=1 - verdict.score) if verdict.score is not None else verdict
        for verdict in perfect(corpus)
    ]
    missing, doubled = verdicts.pop(0), verdicts[0]
    found = tally(corpus, [*verdicts, doubled])
    assert set(found.unaccounted) == {missing.key, doubled.key}
    assert (found.tampered.hits, found.false_alarms.hits, found.image_auc) == (0, 22, 0.0)
    assert math.isnan(found.pixel_f1)
    assert "UNACCOUNTED      2 files" in str(found)
    assert "pixel F1" not in str(found)


def test_the_tally_says_which_evidence_fired_of_how_many(corpus: DemoCorpus) -> None:
    moved = evidence(1, pixels=0.2, copies=0.9)
    pasted = evidence(0, pixels=0.9, copies=0.6)
    verdicts = [
        replace(verdict, evidence=moved if "copy-move" in verdict.key else pasted)
        if verdict.flagged
        else replace(verdict, evidence=evidence(0, pixels=0.99, copies=0.99))  # beyond belief: not flagged, so silent
        for verdict in perfect(corpus)
        if verdict.score is not None
    ]
    text = str(tally(corpus, verdicts, threshold=0.5))
    assert "evidence         copied regions in 24, noise and edges in 12 of the 24 tampered found" in text
    text = str(tally(corpus, verdicts, threshold=0.8))
    assert "evidence         copied regions in 12, noise and edges in 12 of the 24 tampered found" in text
    assert "evidence" not in str(tally(corpus, perfect(corpus)))


def test_heatmaps_that_were_not_kept_are_left_out(corpus: DemoCorpus) -> None:
    def read(verdict: Verdict) -> np.ndarray:
        if "copy-move" in verdict.key:
            raise HeatmapMissing("none was kept")
        return np.zeros((8, 8), dtype=np.uint8)

    found = tally(corpus, perfect(corpus), read)
    assert (found.heatmaps, found.pixel_f1, found.pixel_auc) == (12, 0.0, 0.5)


def test_a_corpus_is_a_labelled_set_too(tmp_path: Path) -> None:
    """Of the photographs that were named alone; all that is of one photograph is of one group."""
    corpus = build_demo_corpus(tmp_path / "lessons", 5, of={"cat", "coffee", "rocket"})
    samples = read_source(write_labelled_set(corpus))
    assert (sum(sample.tampered for sample in samples), len(samples)) == (24, 48)
    assert {sample.group for sample in samples} == {"cat", "coffee", "rocket"}
    assert all(sample.mask is None or sample.mask.exists() for sample in samples)
    few = read_source(write_labelled_set(corpus, most=3))
    assert [sample.tampered for sample in few].count(True) == 3
    assert len(few) == 6
