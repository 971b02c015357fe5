"""What a training run draws from, and what is refused before it starts."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_sets import (
    HEIGHT,
    WIDTH,
    make_authentic,
    make_indexed,
    make_nist16,
    mask_pixels,
    save_mask,
    save_photo,
    save_regions,
)
from support.training_material import write_source

from ncl_model.data.checking import look_at
from ncl_model.data.datasets import read_source, split_by_group
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid, ImageUnreadable
from ncl_model.imaging.decoding import decode_photo
from ncl_model.training import material as material_module
from ncl_model.training.material import Material


def load(*sources: Path, **options: object) -> Material:
    return Material.load(sources, **{"held_out": 0.3, "seed": 1, **options})  # type: ignore[arg-type]


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """A labelled set, photographs with region maps, photographs without."""
    return [
        make_indexed(tmp_path / "people", 16),
        make_authentic(tmp_path / "drawn", 8),
        make_authentic(tmp_path / "plain", 8, seed=200, regions=False),
    ]


# --- what it holds ---


def test_everything_is_there_once_and_validation_is_apart(sources: list[Path]) -> None:
    found = load(*sources)
    samples = [s for source in sources for s in read_source(source)]
    tampered = sum(s.mask is not None for s in samples)
    out = sum(s.mask is not None for s in found.validation)
    assert len(found.tampered) == tampered - out > 0
    assert len(found.authentic) == len(samples) - tampered - (len(found.validation) - out) > 0
    for pixels in found.authentic:
        assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    for pixels, mask in found.tampered:
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        np.testing.assert_array_equal(mask, mask_pixels() > 0)
    assert found.validation == split_by_group(samples, held_out=0.3, seed=1)[1]


def test_no_pixel_of_a_validation_image_is_drawn(sources: list[Path]) -> None:
    found = load(*sources)
    drawn = {pixels.tobytes() for pixels in [*found.authentic, *(p for p, _ in found.tampered)]}
    assert not drawn & {decode_photo(sample.image.read_bytes()).tobytes() for sample in found.validation}


def test_region_maps_belong_to_their_photographs(sources: list[Path]) -> None:
    found = load(*sources)
    assert 0 < len(found.shapes) < len(found.authentic)
    for index, regions in found.shapes:
        assert set(np.unique(regions)) == {1, 2}
        assert found.authentic[index].shape[:2] == regions.shape


def test_how_tampered_files_were_saved_is_known(sources: list[Path], tmp_path: Path) -> None:
    assert load(*sources).settings == [], "no JPEG file among the tampered ones"
    found = load(write_source(tmp_path / "jpeg"))
    assert len(found.settings) == len(found.tampered) > 0
    assert {settings.subsampling for settings in found.settings} == {2}


def test_sequences_behave_as_sequences(sources: list[Path]) -> None:
    photos = load(*sources).authentic
    np.testing.assert_array_equal(photos[-1], photos[len(photos) - 1])
    assert [p.tobytes() for p in photos[1:3]] == [photos[1].tobytes(), photos[2].tobytes()]
    with pytest.raises(IndexError):
        photos[len(photos)]


def test_it_can_be_sent_to_another_process(sources: list[Path]) -> None:
    found = load(*sources)
    sent = pickle.dumps(found)
    assert found.validation
    for sample in found.validation:
        assert sample.image.read_bytes() not in sent  # what is not drawn is not carried along
    for source in sources:  # the files are not needed any more
        for path in source.rglob("*.*"):
            path.unlink()
    again: Material = pickle.loads(sent)
    assert again.described == found.described
    np.testing.assert_array_equal(again.tampered[0][0], found.tampered[0][0])
    np.testing.assert_array_equal(again.shapes[0][1], found.shapes[0][1])


def test_masks_of_another_colour_are_understood(tmp_path: Path) -> None:
    found = load(make_nist16(tmp_path / "nist"), make_authentic(tmp_path / "photos"), held_out=0.0)
    assert [mask.mean() for _, mask in found.tampered] == [0.25] * 3


def test_it_is_described_without_the_folders_of_this_machine(sources: list[Path], tmp_path: Path) -> None:
    described = load(*sources).described
    assert described["sources"][0] == {
        "name": f"{tmp_path.name}/people",
        "layout": "index.csv",
        "tampered": 8,
        "authentic": 8,
        "groups": 8,
        "names_sha256": described["sources"][0]["names_sha256"],
    }
    assert described["tampered"] + described["authentic"] + described["validation"] == 32
    assert (described["held_out"], described["seed"], described["left_out"]) == (0.3, 1, 0)
    assert str(tmp_path.parent) not in str(described)


def test_beyond_the_limit_files_stay_on_the_disk(sources: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material_module, "KEPT_BYTES", 0)
    found = load(*sources)
    assert len(pickle.dumps(found)) < 20_000
    np.testing.assert_array_equal(found.authentic[0], load(*sources).authentic[0])
    for path in (*sources[1].rglob("*.jpg"), *sources[2].rglob("*.jpg")):
        path.write_bytes(b"gone bad")
    with pytest.raises(ImageUnreadable, match=r"p\d\.jpg"):
        found.authentic[0]
    for path in sources[0].rglob("*.png"):
        path.unlink()
    with pytest.raises(DatasetInvalid, match=r"\.png: cannot be read"):
        found.tampered[0]


def test_a_mask_that_was_replaced_under_way_is_noticed(sources: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material_module, "KEPT_BYTES", 0)
    found = load(*sources)
    for path in sources[0].glob("masks/*"):
        save_mask(path, size=(WIDTH, HEIGHT + 1))
    with pytest.raises(DatasetInvalid, match=r"no longer of the size of .*\.png"):
        found.tampered[0]


def test_photographs_are_upright_as_the_predictor_sees_them(tmp_path: Path) -> None:
    """A photograph stored lying, whose mask and region map are upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.open(save_photo(tmp_path / "a.png"))
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "set.png", exif=exif)
    folder = make_authentic(tmp_path / "drawn", 6)
    (folder / "images/p0.jpg").unlink()
    (tmp_path / "set.png").rename(folder / "images/p0.png")
    found = load(folder, held_out=0.0)
    np.testing.assert_array_equal(found.authentic[0], np.asarray(upright))
    assert found.shapes[0][1].shape == (HEIGHT, WIDTH)


def test_progress_is_told_to_the_end(sources: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    load(*sources, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 32) for i in range(1, 33)]


# --- what is refused ---


def _other_size(folder: Path) -> None:
    save_mask(folder / "masks/1.png", size=(WIDTH // 2, HEIGHT))


def _grey(folder: Path) -> None:
    Image.fromarray(np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))).save(folder / "masks/1.png")


def _ones(folder: Path) -> None:
    save_mask(folder / "masks/1.png", value=1)


def _nothing(folder: Path) -> None:
    save_mask(folder / "masks/1.png", value=0)


def _no_mask(folder: Path) -> None:
    (folder / "masks/1.png").unlink()


def _no_image(folder: Path) -> None:
    (folder / "images/1.png").unlink()


def _cut_image(folder: Path) -> None:
    path = folder / "images/1.png"
    path.write_bytes(path.read_bytes()[:400])


def _cut_mask(folder: Path) -> None:
    (folder / "masks/1.png").write_bytes(b"\x89PNG")


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (_other_size, r"1\.png is 24x32 pixels, but its image 48x32"),
    (_grey, r"1\.png is grey at 8\d% of its pixels.*write 255"),
    (_ones, r"1\.png holds zeros and ones; write 255"),
    (_nothing, r"1\.png marks nothing as tampered; leave the mask out"),
    (_no_mask, r"no mask .*1\.png"),
    (_no_image, r"no file .*1\.png"),
    (_cut_image, r"images/1\.png cannot be read"),
    (_cut_mask, r"masks/1\.png cannot be read"),
]


@pytest.mark.parametrize(("fault", "says"), FAULTS, ids=[fault.__name__[1:] for fault, _ in FAULTS])
def test_a_bad_file_is_told_with_its_line_or_left_out(
    sources: list[Path], fault: Callable[[Path], None], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault(sources[0])
    with pytest.raises(DatasetInvalid, match=rf"(?s)1 problem.*index\.csv, line 3: .*{says}"):
        load(*sources)
    with caplog.at_level(logging.WARNING):
        found = load(*sources, leave_out_bad=True)
    assert found.described["left_out"] == 1
    assert "1 photographs are left out" in caplog.text
    assert "index.csv, line 3" in caplog.text
    assert found.described["tampered"] + found.described["validation_tampered"] == 7


def test_all_faults_are_told_at_once(sources: list[Path]) -> None:
    _other_size(sources[0])
    (sources[0] / "images/4.png").write_bytes(b"")
    (sources[2] / "p3.jpg").write_bytes(b"text")
    save_regions(sources[1] / "regions/p2.png").write_bytes(b"text")
    with pytest.raises(DatasetInvalid, match="4 problems") as raised:
        load(*sources)
    for says in ("line 3: mask", "line 6: ", "no bytes", "p3.jpg cannot be read", "p2.png cannot be read"):
        assert says in str(raised.value)


def test_a_region_map_of_another_size_is_refused(sources: list[Path]) -> None:
    Image.new("L", (WIDTH, HEIGHT + 1)).save(sources[1] / "regions/p1.png")
    with pytest.raises(DatasetInvalid, match=r"region map .*p1.png is 48x33 pixels, but its image 48x32"):
        load(*sources)


def test_a_coloured_region_map_is_refused(sources: list[Path]) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(sources[1] / "regions/p1.png")
    with pytest.raises(DatasetInvalid, match="grey values, not RGB"):
        load(*sources)


def test_grey_masks_are_taken_when_asked_for(sources: list[Path]) -> None:
    for path in sources[0].glob("masks/*.png"):
        save_mask(path, value=150, rest=110)
    with pytest.raises(DatasetInvalid, match=r"8 problems.*"):
        load(*sources)
    for _, mask in load(*sources, grey_masks=True).tampered:
        np.testing.assert_array_equal(mask, mask_pixels() > 0)


def test_smoothed_edges_pass(sources: list[Path]) -> None:
    for path in sources[0].glob("masks/*.png"):
        pixels = mask_pixels()
        pixels[15, :24] = 127  # 24 of 1536 pixels
        Image.fromarray(pixels).save(path)
    assert all(0.2 < mask.mean() < 0.25 for _, mask in load(*sources).tampered)


def test_one_class_is_refused_and_what_it_means_is_said(tmp_path: Path) -> None:
    folder = make_indexed(tmp_path / "people")
    lines = (folder / "index.csv").read_text().splitlines()
    tampered = [line for line in lines[1:] if "masks/" in line]
    (folder / "index.csv").write_text("\n".join([lines[0], *tampered]))
    with pytest.raises(DatasetInvalid, match=r"people: every photograph is tampered.*false alarms.*add a folder"):
        load(folder)
    plain = make_authentic(tmp_path / "plain", regions=False)
    with pytest.raises(DatasetInvalid, match=r"plain: every photograph is authentic.*region map.*add a labelled"):
        load(plain)
    assert load(folder, plain).tampered
    assert load(make_authentic(tmp_path / "drawn")).shapes  # everything tampered is synthesised


def test_a_split_that_leaves_one_side_empty_is_refused(sources: list[Path]) -> None:
    with pytest.raises(DatasetInvalid, match="all groups are held out"):
        load(*sources, held_out=1.0)
    with pytest.raises(DatasetInvalid, match="no group is held out"):
        load(*sources, held_out=1e-9)
    assert load(*sources, held_out=0.0).validation == []


def test_shares_of_a_batch_that_nothing_can_fill_are_refused(sources: list[Path], tmp_path: Path) -> None:
    load(*sources).check_shares(people=0.4, synthetic=0.4)
    with pytest.raises(DatasetInvalid, match=r"tampered with by people.*set people to 0"):
        load(sources[1]).check_shares(people=0.4, synthetic=0.4)
    people_only = load(sources[0])
    people_only.check_shares(people=1.0, synthetic=0.0)
    with pytest.raises(DatasetInvalid, match=r"region map.*set synthetic to 0"):
        people_only.check_shares(people=0.4, synthetic=0.4)


def test_looking_tells_sizes_and_areas_in_order(sources: list[Path]) -> None:
    samples = read_source(sources[0])
    looks = list(look_at(samples))
    assert [look.sample for look in looks] == samples
    assert {(look.width, look.height) for look in looks} == {(WIDTH, HEIGHT)}
    assert [look.tampered_area for look in looks] == [None, 0.25] * 8
    assert not any(look.problems for look in looks)


class Counted(list[Sample]):
    """A list that knows how far it was read."""

    taken = 0

    def __iter__(self) -> Iterator[Sample]:
        for sample in super().__iter__():
            self.taken += 1
            yield sample


def test_looking_into_many_images_holds_few_at_once(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.jpg")
    samples = Counted(read_source(tmp_path) * 500)
    looks = look_at(samples)
    next(looks)
    assert samples.taken < 100
    assert sum(1 for _ in looks) == 499
