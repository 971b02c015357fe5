"""Training samples: the grids of a square are those of its pixels, and masks tell the truth to its very edge."""

from __future__ import annotations

import numpy as np
import pytest
from support.textured import textured, through_jpeg
from support.training_material import TINY_EXPERTS, Pictures, photo, recipe

from ncl_model.imaging.grid import Phase, find_grids
from ncl_model.training import samples
from ncl_model.training.samples import TrainingSample, make_sample

PEOPLE = {"people": 1.0, "synthetic": 0.0}


def drawn(material: Pictures, seed: int, **changes: object) -> TrainingSample:
    return make_sample(material, recipe(**changes), np.random.default_rng(seed))


def saved_photographs() -> Pictures:
    """One photograph that came as JPEG, all of it "tampered", with sides of whole blocks."""
    pixels = through_jpeg(textured(6, 240, 304), 75)
    return Pictures(tampered=[(pixels, np.ones((240, 304), np.bool_))])


def test_the_grid_of_a_square_is_that_of_the_file_less_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    origins: list[tuple[int, int]] = []
    real = samples.crop_origin

    def noted(*given: object, **options: object) -> tuple[int, int]:
        origins.append(real(*given, **options))  # type: ignore[arg-type]
        return origins[-1]

    monkeypatch.setattr(samples, "crop_origin", noted)
    for seed in range(12):
        sample = drawn(saved_photographs(), seed, **PEOPLE, network=TINY_EXPERTS, laundered=0, crop_size=160)
        expected = Phase(*(-at % 8 for at in origins[-1]))
        assert tuple(sample.view.grids[0]) == expected
        assert find_grids(sample.view.pixels).first == expected, "the square itself shows the same"
    assert len({tuple(origin % 8 for origin in each) for each in origins}) > 5, "any phase is drawn"


def test_laundered_squares_show_the_grid_they_come_with() -> None:
    """The estimate of the whole, moved by the origin, is the estimate of the square, wherever there is a grid."""
    agree = []
    for seed in range(30):
        sample = drawn(saved_photographs(), seed, **PEOPLE, network=TINY_EXPERTS, laundered=1, crop_size=160)
        agree.append(tuple(sample.view.grids[0]) == find_grids(sample.view.pixels).first)
    assert np.mean(agree) > 0.7


def test_a_network_on_the_fixed_grid_sees_squares_that_begin_on_the_files() -> None:
    for seed in range(12):
        sample = drawn(saved_photographs(), seed, **PEOPLE, laundered=0, crop_size=160)
        assert find_grids(sample.view.pixels).first == (0, 0)
        assert not sample.view.grids.any()


def test_a_squeezed_photograph_has_the_grids_that_it_shows() -> None:
    """Whoever judges it will look for them in the squeezed pixels, too."""
    sample = drawn(saved_photographs(), 0, **PEOPLE, network=TINY_EXPERTS, framing="resize", crop_size=96)
    assert tuple(map(tuple, sample.view.grids)) == find_grids(sample.view.pixels)


@pytest.mark.parametrize("size", [(48, 40), (20, 200), (9, 7)])
@pytest.mark.parametrize("laundered", [0, 1])
def test_masks_are_true_in_the_mirrored_padding_too(size: tuple[int, int], laundered: int) -> None:
    mask = np.zeros(size, np.bool_)
    mask[size[0] // 3 :, : size[1] // 2] = True
    pixels = np.where(mask[..., None], np.uint8(230), np.uint8(20)) * np.ones(3, np.uint8)
    for seed in range(15):
        sample = drawn(Pictures(tampered=[(pixels, mask)]), seed, **PEOPLE, laundered=laundered)
        assert (sample.view.pixels.shape, sample.truth.shape) == ((64, 64, 3), (64, 64))
        right = (sample.view.pixels[..., 1] > 125) == sample.truth
        assert right.all() if not laundered else right.mean() > 0.93, seed


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (15, 15)])
def test_no_photograph_is_too_small_for_any_kind_of_sample(size: tuple[int, int]) -> None:
    pixels = photo(0, *size)
    regions = np.ones(size, np.uint8)
    tiny = Pictures(tampered=[(pixels, np.ones(size, np.bool_))], authentic=[pixels], shapes=[(0, regions)])
    for people, synthetic in ((1, 0), (0, 1), (0, 0)):
        for seed in range(40):
            sample = drawn(tiny, seed, people=people, synthetic=synthetic, laundered=0.5)
            assert sample.view.pixels.shape == (64, 64, 3)
            assert people or synthetic or not sample.truth.any()


def test_large_photographs_are_edited_and_laundered_in_a_window() -> None:
    mask = np.zeros((1000, 1200), np.bool_)
    mask[950:960, 20:30] = True
    pixels, where = samples._window(textured(1, 1000, 1200), mask, np.random.default_rng(0))
    assert pixels.shape == (896, 896, 3)
    assert where.sum() == 100, "around the tampering"


@pytest.mark.parametrize("edited", [False, True])
def test_large_photographs_are_mostly_published_smaller_and_small_ones_as_they_are(edited: bool) -> None:
    def longest(side: int) -> list[int]:
        pixels, regions = photo(0, side, side), np.ones((side, side), np.uint8)
        material = Pictures(authentic=[pixels], shapes=[(0, regions)])
        made = [samples._made(material, edited, np.random.default_rng(seed))[0] for seed in range(30)]
        return [max(each.shape) for each in made]

    large, small = longest(1300), longest(300)  # their history scales both by 0.5 to 1.5
    assert 8 <= sum(side < 1300 * 0.5 for side in large) < 30
    assert min(large) >= 256
    assert min(small) >= 150, "nobody makes a small one smaller"


def test_samples_are_the_same_for_the_same_draw() -> None:
    ours = {"network": TINY_EXPERTS, "people": 0.3, "synthetic": 0.4}
    for seed in range(12):
        one, two = drawn(Pictures(), seed, **ours), drawn(Pictures(), seed, **ours)
        for a, b in zip((*one.view, one.truth, one.label), (*two.view, two.truth, two.label), strict=True):
            np.testing.assert_array_equal(a, b)
    others = [drawn(Pictures(), seed, **ours).view.pixels.tobytes() for seed in range(12)]
    assert len(set(others)) == 12


def test_synthetic_samples_are_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []
    for name in ("splice", "copy_move", "erase", "retouch"):
        real = getattr(samples.edits, name)
        monkeypatch.setattr(
            samples.edits, name, lambda *given, real=real, name=name: (kinds.append(name), real(*given))[1]
        )
    photographs = Pictures(authentic=[photo(i, 32, 48) for i in range(2)], shapes=[(0, np.eye(32, 48, dtype=np.uint8))])
    for seed in range(300):
        drawn(photographs, seed, people=0, synthetic=1, laundered=0)
    shares = {name: kinds.count(name) / 300 for name in set(kinds)}
    assert shares == pytest.approx({"splice": 0.45, "copy_move": 0.2, "erase": 0.15, "retouch": 0.2}, abs=0.08)
