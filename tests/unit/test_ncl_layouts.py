"""The published layouts: which pictures are found, with which masks, and what belongs together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.data_sets import (
    SPLICED,
    TAMPERED,
    make_casia1,
    make_casia2,
    make_columbia,
    make_coverage,
    make_defacto,
    make_imd2020,
    make_nist16,
    mask_pixels,
    save_mask,
    save_photo,
    tampered_pixels,
)

from ncl_model.data.datasets import find_sources, read_source
from ncl_model.data.grouping import Groups
from ncl_model.data.layouts import LAYOUTS, find_layout
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid

MAKERS: dict[str, Callable[[Path], Path]] = {
    "CASIA": make_casia2,
    "NIST16": make_nist16,
    "Columbia": make_columbia,
    "COVERAGE": make_coverage,
    "DEFACTO": make_defacto,
    "IMD2020": make_imd2020,
}


def by_stem(samples: list[Sample]) -> dict[str, Sample]:
    found = {sample.image.stem: sample for sample in samples}
    assert len(found) == len(samples)
    return found


def groups_of(samples: list[Sample]) -> set[frozenset[str]]:
    """The groups as sets of names."""
    together: dict[str, set[str]] = {}
    for sample in samples:
        together.setdefault(sample.group, set()).add(sample.image.stem)
    return {frozenset(names) for names in together.values()}


@pytest.mark.parametrize("name", MAKERS)
def test_each_layout_is_known_by_its_folders_and_taken_for_no_other(name: str, tmp_path: Path) -> None:
    folder = MAKERS[name](tmp_path)
    assert [layout.name for layout in LAYOUTS if layout.fits(folder)] == [name]
    (source,) = find_sources([folder])
    assert (source.layout, source.labelled) == (name, True)


@pytest.mark.parametrize("name", MAKERS)
def test_masks_of_every_layout_mark_the_same_quarter(name: str, tmp_path: Path) -> None:
    """White, black or green, PNG, TIFF or JPEG: what is tampered comes out the same."""
    tampered = [sample for sample in read_source(MAKERS[name](tmp_path)) if sample.mask is not None]
    assert tampered
    for sample in tampered:
        np.testing.assert_array_equal(tampered_pixels(sample), mask_pixels() > 0)


@pytest.mark.parametrize("name", MAKERS)
def test_readers_give_the_same_list_each_time(name: str, tmp_path: Path) -> None:
    folder = MAKERS[name](tmp_path)
    assert read_source(folder) == read_source(folder)


def test_casia_2_joins_pictures_through_the_sources_in_their_names(tmp_path: Path) -> None:
    samples = read_source(make_casia2(tmp_path))
    assert [sample.mask is None for sample in samples].count(True) == 4
    # three sources with the two splices over them; one more source; a copy-move whose source is not there
    assert sorted(len(names) for names in groups_of(samples)) == [1, 1, 5]
    alone = [sample for sample in samples if sample.image.name.startswith(f"{TAMPERED}_S")]
    assert [sample.group for sample in alone] == ["casia-arc00005"]


def test_casia_1_takes_masks_by_name_and_else_by_serial_number(tmp_path: Path) -> None:
    (source,) = find_sources([make_casia1(tmp_path)])
    samples = by_stem(source.samples)
    assert len(samples) == 8
    renamed = samples[f"{SPLICED}_D_NNN_A_nat0001_nat0002_0282"]
    assert renamed.mask is not None
    assert renamed.mask.name == f"{SPLICED}_D_NNN_A_nat0001_nat0099_0282_gt.png"
    assert samples[f"{SPLICED}_D_CND_A_ani0001_pla0007_0281"].group == "casia-ani0001"


def test_casia_1_names_the_picture_that_was_published_without_a_mask(tmp_path: Path) -> None:
    folder = make_casia1(tmp_path)
    with pytest.raises(DatasetInvalid, match="1 problem") as raised:
        read_source(folder)
    assert "arc0003_cha0004_0542" in str(raised.value)


def test_casia_gives_no_picture_the_mask_of_another(tmp_path: Path) -> None:
    folder = make_casia2(tmp_path)
    save_photo(folder / f"Tp/{TAMPERED}_D_NRN_S_N_sec00001_sec00002_00100.jpg")  # the number of one that has its mask
    with pytest.raises(DatasetInvalid, match=r"no mask .*sec00001_sec00002_00100_gt"):
        read_source(folder)


def test_casia_with_corrected_masks_beside_the_pictures(tmp_path: Path) -> None:
    """As the correction by Sunnyhaze is laid out: Au, Tp and Gt."""
    folder = make_casia2(tmp_path)
    (folder / "CASIA 2 Groundtruth").rename(folder / "Gt")
    named = {sample.image.stem for sample in read_source(folder) if sample.mask is not None}
    for path in (folder / "Gt").iterdir():
        path.rename(path.with_name(path.name.replace("_gt", "")))
    plain = [sample for sample in read_source(folder) if sample.mask is not None]
    assert {sample.image.stem for sample in plain} == named
    assert all(sample.mask and sample.mask.parent.name == "Gt" for sample in plain)


def test_casia_leaves_out_the_sample_pictures_that_come_with_the_masks(tmp_path: Path) -> None:
    folder = make_casia2(tmp_path)
    before = read_source(folder)
    save_photo(folder / f"CASIA 2 Groundtruth/Samples/Tp/{TAMPERED}_D_NRN_S_N_ani00001_ani00002_00100_combine.png")
    save_photo(folder / f"jpg/{TAMPERED}_D_NRN_S_N_ani00001_ani00002_00100.jpg")  # made by another reader
    assert read_source(folder) == before


def test_casia_does_not_guess_between_two_masks_of_one_serial_number(tmp_path: Path) -> None:
    folder = make_casia2(tmp_path)
    save_photo(folder / f"Tp/{TAMPERED}_D_NRN_S_N_ani00001_ani00009_00777.jpg")
    for other in ("ani00003", "ani00004"):
        save_mask(folder / f"CASIA 2 Groundtruth/{TAMPERED}_D_NRN_S_N_ani00001_{other}_00777_gt.png")
    with pytest.raises(DatasetInvalid, match="00777"):
        read_source(folder)


@pytest.mark.parametrize("delimiter", ["|", ","])
def test_nist16_joins_what_shares_a_base_or_a_donor(delimiter: str, tmp_path: Path) -> None:
    samples = read_source(make_nist16(tmp_path, delimiter))
    assert [sample.mask is None for sample in samples] == [False, False, False, True]
    assert sorted(len(names) for names in groups_of(samples)) == [1, 3]
    assert samples[0].origin.endswith("-ref.csv, line 2")


def test_nist16_says_when_the_list_is_another(tmp_path: Path) -> None:
    folder = make_nist16(tmp_path)
    (path,) = folder.glob("reference/manipulation/*.csv")
    path.write_text(path.read_text().replace("BaseFileName", "Base"))
    with pytest.raises(DatasetInvalid, match=r"-ref\.csv: no column BaseFileName"):
        read_source(folder)


def test_columbia_stays_whole_where_names_do_not_tell_the_sources(tmp_path: Path) -> None:
    samples = by_stem(read_source(make_columbia(tmp_path)))
    assert len(samples) == 4
    assert samples["canong3_02_sub_01"].group == samples["canonxt_05_sub_09"].group
    assert samples["canong3_canonxt_sub_01"].group == samples["canong3_02_sub_01"].group
    assert samples["kodakdcs330_01_sub_01"].group != samples["canong3_02_sub_01"].group


def test_columbia_is_found_in_the_folders_its_archives_unpack_to(tmp_path: Path) -> None:
    make_columbia(tmp_path / "flat")
    for name in ("4cam_auth", "4cam_splc"):
        (tmp_path / "nested" / name).mkdir(parents=True)
        (tmp_path / "flat" / name).rename(tmp_path / "nested" / name / name)
    assert len(read_source(tmp_path / "nested")) == 4


def test_coverage_pairs_are_groups(tmp_path: Path) -> None:
    samples = read_source(make_coverage(tmp_path))
    assert groups_of(samples) == {frozenset({"1", "1t"}), frozenset({"2", "2t"}), frozenset({"12", "12t"})}


def test_defacto_joins_a_splice_with_its_donor(tmp_path: Path) -> None:
    samples = read_source(make_defacto(tmp_path))
    assert groups_of(samples) == {frozenset({"0_000000000100", "3_000000000200"}), frozenset({"7_000000000300"})}
    assert all(sample.mask is not None for sample in samples)


def test_imd2020_folders_are_groups(tmp_path: Path) -> None:
    samples = read_source(make_imd2020(tmp_path))
    assert sorted(sample.group for sample in samples) == ["imd2020-1a1ogs"] * 3 + ["imd2020-1b8r7b"] * 2
    assert [sample.image.name for sample in samples if sample.mask is None] == ["1a1ogs_orig.jpg", "1b8r7b_orig.jpg"]


def test_a_folder_of_tampered_pictures_is_not_taken_for_authentic(tmp_path: Path) -> None:
    make_casia2(tmp_path / "casia")
    make_columbia(tmp_path / "columbia")
    make_defacto(tmp_path / "defacto")
    for folder in ("casia/Tp", "columbia/4cam_splc", "defacto/copymove/copymove_img/img"):
        with pytest.raises(DatasetInvalid, match="tampered"):
            read_source(tmp_path / folder)


def test_one_kind_of_defacto_is_a_source_of_its_own(tmp_path: Path) -> None:
    (sample,) = read_source(make_defacto(tmp_path) / "copymove")
    assert sample.image.stem == "3_000000000200"


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_of_several_sets_is_not_taken_for_one_of_them(name: str, tmp_path: Path) -> None:
    """Or the others would be silently left out, or a test set trained on."""
    MAKERS[name](tmp_path / "casia")
    make_imd2020(tmp_path / "other")
    assert find_layout(tmp_path) is None


def test_other_folders_have_no_published_layout(tmp_path: Path) -> None:
    save_photo(tmp_path / "image/1.tif")
    (tmp_path / "mask").mkdir()
    assert find_layout(tmp_path) is None


pairs = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3), max_size=12)


@given(pairs, st.randoms())
def test_groups_do_not_depend_on_the_order_of_joining(joins: list[list[str]], random: object) -> None:
    def found(order: list[list[str]]) -> dict[str, str]:
        groups = Groups()
        for names in order:
            groups.join(names)
        return {name: groups.find(name) for name in "abcdefgh"}

    shuffled = [list(reversed(names)) for names in joins]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert found(joins) == found(shuffled)


@given(pairs)
def test_groups_are_what_can_be_reached(joins: list[list[str]]) -> None:
    groups = Groups()
    for names in joins:
        groups.join(names)
    reached = {name: {name} for name in "abcdefgh"}  # the slow way: spread until nothing changes
    for _ in range(8):
        for names in joins:
            union = set().union(*(reached[name] for name in names))
            for name in union:
                reached[name] |= union
    assert {name: groups.find(name) for name in "abcdefgh"} == {name: min(reached[name]) for name in "abcdefgh"}
