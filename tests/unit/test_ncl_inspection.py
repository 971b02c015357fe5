"""What inspection finds: counts, sizes, areas, faults, and pictures that are nearly the same."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from support.data_sets import make_authentic, make_casia2, make_coverage, make_indexed, save_mask, save_photo
from support.odd_images import photo

from ncl_model.data.duplicates import MAX_DIFFERENCE, MAX_DISTANCE, Fingerprint, fingerprint, near_pairs
from ncl_model.data.inspection import inspect_sources


def prints(*pictures: Image.Image) -> list[Fingerprint]:
    return [fingerprint(np.asarray(picture)) for picture in pictures]


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


# --- perceptual hash ---


@pytest.mark.parametrize("seed", range(8))
def test_edited_copies_are_near_and_other_pictures_are_not(seed: int) -> None:
    original = photo(240, 160, seed=seed)
    edited = original.copy()
    ImageDraw.Draw(edited).rectangle((30, 30, 80, 75), fill=(200, 30, 90))
    pictures = [
        original,
        recompressed(original, 60),
        original.resize((120, 80)),
        edited,
        photo(240, 160, seed=seed + 100),
        Image.fromarray(255 - np.asarray(original)),
    ]
    found = set(near_pairs(prints(*pictures)))
    assert {(0, 1), (0, 2), (0, 3)} <= found
    assert not {pair for pair in found if pair[1] > 3}


def test_flat_pictures_share_a_hash_but_only_equal_ones_are_near() -> None:
    pictures = [Image.new("RGB", (40, 30), (grey,) * 3) for grey in (0, 90, 180, 92)]
    fingerprints = prints(*pictures)
    assert len({f.bits for f in fingerprints}) == 1
    assert set(near_pairs(fingerprints)) == {(1, 3)}


def test_the_hash_is_what_it_is_said_to_be() -> None:
    """Brighter to the right sets a bit, the first place being the highest."""
    pixels = np.zeros((8, 9, 3), np.uint8)
    pixels[0, 1:] = 50
    pixels[7, 8] = 50
    assert fingerprint(pixels).bits == 1 << 63 | 1
    assert fingerprint(pixels).thumbnail.shape == (16, 16)


words = st.integers(0, 2**64 - 1)
near_words = st.lists(st.tuples(words, st.sets(st.integers(0, 63), max_size=MAX_DISTANCE + 2)), max_size=12)


@given(near_words, st.lists(words, max_size=8))
def test_the_banded_index_finds_what_comparing_all_with_all_finds(
    pairs: list[tuple[int, set[int]]], more: list[int]
) -> None:
    bits = [*more]
    for word, flipped in pairs:
        bits += [word, word ^ sum(1 << bit for bit in flipped)]
    flat = np.zeros((16, 16), np.uint8)
    expected = {
        (i, j)
        for i in range(len(bits))
        for j in range(i + 1, len(bits))
        if (bits[i] ^ bits[j]).bit_count() <= MAX_DISTANCE
    }
    found = list(near_pairs([Fingerprint(bits=b, thumbnail=flat) for b in bits]))
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_many_equal_pictures_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncl_model.data.duplicates._CHUNK", 7)
    flat = np.zeros((16, 16), np.uint8)
    found = set(near_pairs([Fingerprint(bits=5, thumbnail=flat)] * 12))
    assert found == {(i, j) for i in range(12) for j in range(i + 1, 12)}


def test_thumbnails_decide_between_pictures_of_one_hash() -> None:
    dark, bright = np.zeros((16, 16), np.uint8), np.full((16, 16), int(MAX_DIFFERENCE) + 1, np.uint8)
    assert list(near_pairs([Fingerprint(bits=1, thumbnail=dark), Fingerprint(bits=1, thumbnail=bright)])) == []


# --- inspection ---


def test_a_source_is_counted_and_measured(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set")
    save_photo(folder / "images/6.png", seed=6, size=(96, 20))
    (report,) = inspect_sources([folder]).sources
    assert (report.layout, report.tampered, report.authentic, report.regions) == ("index.csv", 4, 4, 0)
    assert (report.groups, report.largest_group) == (4, 2)
    assert report.sizes == ((48, 32), (48, 32), (96, 20))
    assert report.formats == {"PNG": 8}
    assert report.bytes == sum(path.stat().st_size for path in (folder / "images").iterdir())
    assert report.tampered_area == (0.25,) * 5
    assert report.problems == ()


def test_areas_are_told_as_quantiles(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set", 22)
    for i in range(1, 22, 2):
        mask = np.zeros((32, 48), np.uint8)
        mask.ravel()[: 48 * 3 * ((i - 1) // 2) or 48] = 255
        Image.fromarray(mask).save(folder / f"masks/{i}.png")
    (report,) = inspect_sources([folder]).sources
    assert report.tampered_area == pytest.approx([1 / 32, 3 / 32, 15 / 32, 27 / 32, 30 / 32])


def test_files_that_cannot_be_used_are_told_and_the_others_counted(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set")
    (folder / "images/0.png").write_bytes(b"no picture")
    save_mask(folder / "masks/1.png", size=(24, 32))
    (folder / "masks/3.png").unlink()
    (folder / "images/4.png").unlink()
    found = inspect_sources([folder])
    assert [(p.kind, p.where.rsplit(" ", 1)[1]) for p in found.problems] == [
        ("unreadable_image", "2"),
        ("mask_size", "3"),
        ("missing_mask", "5"),
        ("missing_image", "6"),
    ]
    assert found.sources[0].formats == {"PNG": 6}
    assert len(found.sources[0].tampered_area) == 5
    json.dumps(found.to_dict())


def test_a_source_without_one_readable_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (report,) = inspect_sources([tmp_path]).sources
    assert (report.sizes, report.formats, report.tampered_area, report.bytes) == ((), {}, (), 0)


def test_copies_are_told_where_a_split_could_divide_them(tmp_path: Path) -> None:
    people = make_indexed(tmp_path / "people")
    other = make_indexed(tmp_path / "other", seed=50)
    picture = Image.open(people / "images/0.png")
    picture.save(people / "images/1.png")  # in one group, as a picture and its original are
    picture.save(people / "images/6.png")  # in another group
    recompressed(picture, 75).save(other / "images/5.png")  # in another source
    found = inspect_sources([people, other])
    assert found.within_group == 1
    told = {
        (f"{c.sources[0]}/{c.first.image.stem}", f"{c.sources[1]}/{c.second.image.stem}", c.exact) for c in found.copies
    }
    assert told == {
        ("0/0", "0/6", True),
        ("0/1", "0/6", True),
        ("0/0", "1/5", False),
        ("0/1", "1/5", False),
        ("0/6", "1/5", False),
    }
    assert any("2 pairs" in note and "different groups" in note for note in found.sources[0].notes)
    assert not any("different groups" in note for note in found.sources[1].notes)
    assert any("3 pairs" in note and "people" in note and "other" in note for note in found.notes)


def test_copies_in_two_sources_are_told_even_where_groups_have_one_name(tmp_path: Path) -> None:
    """A training and a test set of one collection: no split, but people, keep them apart."""
    train, test = make_indexed(tmp_path / "train/set", 2), make_indexed(tmp_path / "test/set", 2)
    found = inspect_sources([train, test])
    assert [(copy.sources, copy.first.group == copy.second.group) for copy in found.copies] == [((0, 1), True)] * 2
    assert "2 pairs" in found.notes[0]


def test_one_picture_listed_twice_is_found(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set", 2)
    (folder / "index.csv").write_text("image,mask,group\nimages/0.png,,a\nimages/0.png,,b\n")
    (copy,) = inspect_sources([folder]).copies
    assert copy.exact


def test_notes_say_what_sets_of_one_kind_are_good_for(tmp_path: Path) -> None:
    plain = make_authentic(tmp_path / "plain", regions=False)
    coverage = make_coverage(tmp_path / "coverage", range(1, 13))
    tampered = tmp_path / "tampered"
    make_indexed(tampered, 12)
    lines = (tampered / "index.csv").read_text().splitlines()
    (tampered / "index.csv").write_text("\n".join([lines[0], *(line for line in lines if "masks/" in line)]))

    assert "all are authentic" in inspect_sources([plain]).sources[0].notes[0]
    assert "nothing tampered and no region maps" in inspect_sources([plain]).notes[0]
    assert "all are tampered" in inspect_sources([tampered]).sources[0].notes[0]
    assert "nothing authentic in all sources" in inspect_sources([tampered]).notes[0]
    both = inspect_sources([plain, coverage])
    assert both.notes == ()
    assert both.sources[1].notes == ()


@pytest.mark.parametrize(("quality", "noted"), [(92, False), (50, True)])
def test_a_label_that_hides_in_how_files_were_saved_is_noted(quality: int, noted: bool, tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set", 48)
    for i in range(48):
        photo(48, 32, seed=i).save(folder / f"images/{i}.png", "JPEG", quality=92 if i % 2 else quality)
    (report,) = inspect_sources([folder]).sources
    assert report.formats == {"JPEG": 48}
    assert any("times the bytes per pixel" in note for note in report.notes) == noted


def test_masks_that_look_inverted_are_noted(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "set", 12)
    assert not inspect_sources([folder]).sources[0].notes
    for path in folder.glob("masks/*"):
        save_mask(path, value=0, rest=255)
    (note,) = inspect_sources([folder]).sources[0].notes
    assert "inverted" in note


def test_a_group_too_large_to_split_is_noted(tmp_path: Path) -> None:
    (report,) = inspect_sources([make_casia2(tmp_path / "casia")]).sources
    assert any("the largest group holds 71%" in note for note in report.notes)
