"""Lists, folders and other sources of labelled photographs, and the split by group."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.data_sets import (
    HEIGHT,
    WIDTH,
    make_authentic,
    make_casia2,
    make_indexed,
    save_mask,
    save_photo,
    save_regions,
    tampered_pixels,
)

from ncl_model.data.datasets import (
    find_sources,
    read_folder,
    read_index,
    read_source,
    split_by_group,
)
from ncl_model.data.index_file import write_index
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid


def listed(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "index.csv"
    path.write_text(text)
    return path


# --- index.csv ---


def test_a_list_becomes_samples_with_paths_below_its_folder(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set")
    samples = read_index(folder / "index.csv")
    assert [sample.mask is None for sample in samples] == [True, False] * 4
    assert samples[3].image == folder / "images/3.png"
    assert (samples[3].group, samples[3].origin) == ("set-1", f"{folder / 'index.csv'}, line 5")
    assert read_source(folder) == read_source(folder / "index.csv") == samples


def test_optional_columns(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.png")
    save_regions(tmp_path / "r.png")
    save_mask(tmp_path / "m.png", value=0, rest=255)
    text = "group,image,note,regions,mask,tampered_colour\ng,a.png,x,r.png,,\ng,a.png,,,m.png,black\n"
    plain, black = read_index(listed(tmp_path, text))
    assert (plain.regions, plain.tampered_colour) == (tmp_path / "r.png", "white")
    assert tampered_pixels(black)[: HEIGHT // 2, : WIDTH // 2].all()


def test_lists_as_spreadsheets_write_them(tmp_path: Path) -> None:
    """With a byte order mark, CRLF line ends and quoted fields with commas."""
    save_photo(tmp_path / "a, b.png")
    (tmp_path / "index.csv").write_bytes('\ufeffimage,mask,group\r\n"a, b.png",,"one, two"\r\n'.encode())
    (sample,) = read_index(tmp_path / "index.csv")
    assert (sample.image.name, sample.group) == ("a, b.png", "one, two")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image,mask\na.png,\n", r"index\.csv, line 1: no column group"),
        ("image;mask;group\na.png;;g\n", r"line 1: no column image, mask, group.*image;mask;group"),
        ("", "line 1: no column image.*nothing"),
        ("image,mask,group\n", r"index\.csv: no rows"),
        ("image,mask,group\na.png,,g\na.png,g\n", "line 3: the number of fields"),
        ("image,mask,group\na.png,,g,h\n", "line 2: the number of fields"),
        ("image,mask,group\n,,g\n", "line 2: no image is named"),
        ("image,mask,group\na.png,,\n", "line 2: no group"),
        ("image,mask,group\nb.png,,g\n", r"line 2: no file .*b\.png"),
        ("image,mask,group\na.png,b.png,g\n", r"line 2: no mask .*b\.png"),
        ("image,mask,group,regions\na.png,,g,r.png\n", r"line 2: no file .*r\.png"),
        ("image,mask,group,tampered_colour\na.png,,g,pink\n", "line 2: tampered_colour is 'pink'"),
        ('image,mask,group\n"a.png,,g\n', "cannot be read as a list"),
    ],
)
def test_what_is_wrong_with_a_list_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    save_photo(tmp_path / "a.png")
    with pytest.raises(DatasetInvalid, match=says):
        read_index(listed(tmp_path, text))


def test_all_bad_lines_are_told_at_once_the_first_twenty_in_full(tmp_path: Path) -> None:
    rows = "".join(f"gone{i}.png,,g\n" for i in range(25))
    with pytest.raises(DatasetInvalid, match="25 problems") as raised:
        read_index(listed(tmp_path, f"image,mask,group\n{rows}"))
    lines = str(raised.value).splitlines()
    assert len([line for line in lines if "no file" in line]) == 20
    assert "  ... and 5 more" in lines


def test_a_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(DatasetInvalid, match=r"index\.csv: is not UTF-8.*save the list as UTF-8"):
        read_index(tmp_path / "index.csv")


names = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/"), min_size=1, max_size=12)


@given(st.lists(st.tuples(names, st.booleans(), names, st.sampled_from(["white", "black", "green"])), min_size=1))
def test_a_written_list_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    from ncl_model.data.index_file import parse_index

    folder = tmp_path_factory.mktemp("list")
    samples = [
        Sample(
            image=folder / f"i{image}",
            mask=folder / f"m{image}" if tampered else None,
            group=group,
            regions=None if tampered else folder / "r",
            tampered_colour=colour,
        )
        for image, tampered, group, colour in rows
    ]
    (folder / "index.csv").write_text(write_index(samples, folder), encoding="utf-8", newline="")
    assert parse_index(folder / "index.csv") == samples


# --- folders and other sources ---


def test_a_folder_of_photographs_is_authentic_each_its_own_group(tmp_path: Path) -> None:
    for name in ("b.JPEG", "a.jpg", "c.webp", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    samples = read_folder(tmp_path)
    assert [(s.image.name, s.group, s.mask, s.regions) for s in samples] == [
        ("a.jpg", "a", None, None),
        ("b.JPEG", "b", None, None),
        ("c.webp", "c", None, None),
    ]


def test_region_maps_are_found_from_the_folder_above_and_from_the_images(tmp_path: Path) -> None:
    folder = make_authentic(tmp_path / "bsds", 3)
    (folder / "regions/p1.png").unlink()
    for path in (folder, folder / "images"):
        assert [s.regions and s.regions.name for s in read_source(path)] == ["p0.png", None, "p2.png"]


def test_a_source_says_what_it_is_without_the_folders_of_this_machine(tmp_path: Path) -> None:
    paths = [make_indexed(tmp_path / "a/b/set"), make_authentic(tmp_path / "photos", regions=False)]
    found = [(s.name, s.layout, s.labelled, len(s.samples)) for s in find_sources(paths)]
    assert found == [("b/set", "index.csv", True, 8), (f"{tmp_path.name}/photos", "photographs", False, 6)]


def test_what_is_no_source_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").touch()
    make_indexed(tmp_path / "sets/train")
    make_authentic(tmp_path / "sets/photos")
    make_casia2(tmp_path / "sets/casia")
    for name, says in (
        ("nowhere", "nowhere: no such file or folder"),
        ("empty", r"empty: no index\.csv, no published layout, no photographs"),
        ("text.txt", r"text\.txt: is neither a folder nor an index\.csv"),
        ("sets", "sets: holds several sources, casia, photos, train: name the ones you mean"),
    ):
        with pytest.raises(DatasetInvalid, match=says):
            read_source(tmp_path / name)
    for read in (read_folder, read_index):
        with pytest.raises(DatasetInvalid, match="nowhere"):
            read(tmp_path / "nowhere")
    with pytest.raises(DatasetInvalid, match="no photographs"):
        read_folder(tmp_path / "empty")


# --- splitting ---


def sample(group: str, number: int = 0) -> Sample:
    return Sample(image=Path(f"{group}-{number}.jpg"), mask=None, group=group)


@given(
    st.lists(st.sampled_from([f"g{i}" for i in range(30)]), max_size=60),
    st.lists(st.sampled_from([f"g{i}" for i in range(40)]), max_size=30),
    st.floats(0, 1),
    st.integers(0, 2**31),
)
def test_no_group_is_on_both_sides_and_more_samples_move_none(
    groups: list[str], more: list[str], held_out: float, seed: int
) -> None:
    samples = [sample(group, i) for i, group in enumerate(groups)]
    kept, out = split_by_group(samples, held_out=held_out, seed=seed)
    assert sorted([*kept, *out], key=str) == sorted(samples, key=str)
    assert not {s.group for s in kept} & {s.group for s in out}
    larger = samples + [sample(group, 1000 + i) for i, group in enumerate(more)]
    kept_then, out_then = split_by_group(larger, held_out=held_out, seed=seed)
    assert [s for s in kept_then if s in samples] == kept
    assert [s for s in out_then if s in samples] == out


def test_the_share_of_groups_is_about_what_was_asked() -> None:
    samples = [sample(f"g{i}") for i in range(4000)]
    assert len(split_by_group(samples, held_out=0.15, seed=3)[1]) == pytest.approx(600, abs=90)
    assert split_by_group(samples, held_out=0.0, seed=3)[1] == []
    assert split_by_group(samples, held_out=1.0, seed=3)[0] == []


def test_sides_of_these_groups_are_fixed_for_all_versions() -> None:
    """Weights that were trained before would otherwise be judged on what they have seen."""
    out = split_by_group([sample(f"g{i}") for i in range(20)], held_out=0.3, seed=4)[1]
    assert [s.group for s in out] == ["g0", "g2", "g4", "g6", "g12", "g13"]
