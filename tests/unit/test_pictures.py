"""Photographs and heatmaps for people: a fixed scale, every kind of file, every kind of name."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from support.hostile_images import repeated_scan

from ncl_model.architecture.config import NclConfig
from ncl_model.copy_move import CopiedPair
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import decode_image
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder
from nclscreen.pictures import comparison, draw_copies, overlay, upright_photo
from nclscreen.pictures.colours import colour_table, css_gradient
from nclscreen.pictures.lettering import drawable, fitted, font, width, wrapped

GREY = Image.new("RGB", (90, 60), (120, 120, 120))


def flat(probability: float, size: tuple[int, int] = (12, 18)) -> np.ndarray:
    return np.full(size, round(255 * probability), dtype=np.uint8)


def distance_from_photo(probability: float) -> float:
    shown = np.asarray(overlay(GREY, flat(probability)), dtype=np.float64)
    return float(np.abs(shown - np.asarray(GREY, dtype=np.float64)).mean())


def luminance(colours: np.ndarray) -> np.ndarray:
    return colours[:, :3].astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])


def test_the_scale_is_clear_at_nothing_and_dense_at_certainty() -> None:
    table = colour_table()
    assert table.shape == (256, 4)
    assert table[0, 3] == 0
    assert table[255, 3] > 180
    assert (np.diff(table[:, 3].astype(int)) >= 0).all()


def test_more_probable_is_lighter() -> None:
    """So that the scale also works in grey print."""
    light = luminance(colour_table()[::16])
    assert (np.diff(light) > 0).all()


def test_a_weak_heatmap_is_not_stretched_to_its_own_maximum() -> None:
    assert distance_from_photo(0.0) == 0
    assert distance_from_photo(0.1) < 3
    assert distance_from_photo(0.5) > 20
    spot = flat(0.0)
    spot[4, 4] = round(255 * 0.1)
    assert np.abs(np.asarray(overlay(GREY, spot)).astype(int) - 120).max() < 10


def test_the_same_probability_has_the_same_colour_on_every_picture() -> None:
    alone, beside = flat(0.6), flat(0.6)
    beside[:, 9:] = 255
    one, other = np.asarray(overlay(GREY, alone)), np.asarray(overlay(GREY, beside))
    assert (one[:, :30] == other[:, :30]).all()


def test_the_heatmap_lies_where_it_belongs_at_any_resolution() -> None:
    for size in [(2, 2), (7, 30), (60, 90), (300, 400)]:
        heatmap = np.zeros(size, dtype=np.uint8)
        heatmap[: size[0] // 2, size[1] // 2 :] = 255
        change = np.abs(np.asarray(overlay(GREY, heatmap)).astype(int) - 120).sum(axis=2)
        assert change[:15, 68:].min() > 50
        assert change[45:, :22].max() == 0


@pytest.mark.parametrize("wrong", [np.zeros((0, 3), np.uint8), np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8)])
def test_what_is_no_heatmap_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a heatmap is"):
        overlay(GREY, wrong)


def test_the_gradient_for_pages_has_the_same_ends() -> None:
    stops = re.findall(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\) ([\d.]+)%", css_gradient())
    assert stops[0][3:] == ("0.000", "0.00")
    assert tuple(map(int, stops[-1][:3])) == tuple(colour_table()[255, :3].tolist())


def test_photos_are_what_the_model_sees() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((200, 100)).convert("CMYK").save(buffer, "JPEG", exif=exif.tobytes())
    photo = upright_photo(buffer.getvalue(), 128)
    seen = decode_image(buffer.getvalue(), config=NclConfig(geometry="fit", input_size=128))
    assert (photo.mode, photo.size) == ("RGB", (64, 128))
    assert (np.asarray(photo) == seen.pixels[: seen.valid_height, : seen.valid_width]).all()


def test_photos_are_never_enlarged() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 3)).save(buffer, "PNG")
    assert upright_photo(buffer.getvalue(), 8).size == (5, 3)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0 cut", b"GIF89a"])
def test_bad_bytes_are_only_ever_unreadable(data: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        upright_photo(data, 200)


def test_a_preview_is_not_held_up_by_a_decompression_bomb() -> None:
    decoder = GuardedDecoder(DecodingLimits(deadline_s=1.0))
    with pytest.raises(ImageUnreadable, match="1 seconds of computing"):
        upright_photo(repeated_scan(), 200, decoder)
    decoder.close()


@pytest.mark.parametrize("size", [(1, 1), (90, 60), (3000, 5), (5, 3000), (2400, 1800)])
def test_comparisons_of_any_shape_are_bounded(size: tuple[int, int]) -> None:
    picture = comparison(Image.new("RGB", size, (10, 200, 10)), flat(0.9), ["name.jpg", "score 0.9"])
    assert picture.mode == "RGB"
    assert 760 <= picture.width <= 2 * 1600 + 200
    assert picture.height <= 1600 + 500


@pytest.mark.parametrize(
    "name",
    ["", "写真.jpg", "عربي", "\u202eevil\n\x00\x1b.jpg", "😀" * 300, "x" * 5000, "a b " * 500, "lone \ud800", "é" * 50],
)
def test_any_text_can_be_a_caption(name: str) -> None:
    picture = comparison(GREY, flat(0.5), [name, name])
    assert picture.width < 1000
    assert picture.height < 6000


def test_the_caption_and_the_legend_are_there() -> None:
    bare, named = comparison(GREY, flat(0.9)), comparison(GREY, flat(0.9), ["name", "score 0.9"])
    assert named.height > bare.height + 20
    # the brightest colour of the scale is on the legend even where the photograph has none of it
    none = np.asarray(comparison(GREY, flat(0.0))).astype(int)
    yellow = (none[..., 0] > 200) & (none[..., 1] > 200) & (none[..., 2] < 100)
    assert yellow.any()


def test_text_is_made_to_fit() -> None:
    face = font(16)
    assert width(fitted("w" * 400 + ".jpg", face, 200), face) <= 200
    assert fitted("w" * 400 + ".jpg", face, 200).endswith(".jpg")
    assert all(width(line, face) <= 200 for line in wrapped("some words " * 30, face, 200))
    assert drawable("plain", face) == "plain"
    assert "\\u" in drawable("\ue123", face)


def pairs_of(*boxes: tuple[float, float, float, float]) -> tuple[CopiedPair, ...]:
    """Pairs of a box and the same in the lower right corner, a line between them."""
    return tuple(
        CopiedPair(
            first=box,
            second=(0.8, 0.8, 1.0, 1.0),
            angle_deg=0.0,
            scale=1.0,
            mirrored=False,
            shift_px=(1.0, 1.0),
            inliers=3,
            zncc=0.95,
            residual_zncc=0.7,
            area_px=100,
            statistic=3.0,
            lines=((box[0], box[1], 0.8, 0.8),),
        )
        for box in boxes
    )


@pytest.mark.parametrize("size", [(90, 60), (1, 1), (2000, 30)])
def test_copies_are_drawn_on_a_photograph_of_any_size_which_stays_as_it_is(size: tuple[int, int]) -> None:
    photo = Image.new("RGB", size, (120, 120, 120))
    drawn = draw_copies(photo, pairs_of((0.0, 0.0, 0.2, 0.3), (0.4, 0.0, 0.6, 0.2)))
    assert drawn.size == size
    assert np.asarray(drawn).std() > 0 or size == (1, 1)
    assert (np.asarray(photo) == 120).all()


def test_both_ends_of_a_copy_have_a_box_of_one_colour_and_a_line_between() -> None:
    drawn = np.asarray(draw_copies(GREY, pairs_of((0.1, 0.1, 0.3, 0.3))))
    bright = [
        {tuple(colour) for colour in part.reshape(-1, 3).tolist() if max(colour) > 150}
        for part in (drawn[:20, :30], drawn[45:, 70:], drawn[20:40, 30:65])
    ]
    assert bright[0] == bright[1] == bright[2]
    assert len(bright[0]) == 1
    assert (drawn[:40, 75:] == 120).all()


def test_a_comparison_draws_copies_on_its_right_half_alone() -> None:
    plain = np.asarray(comparison(GREY, flat(0.0))).astype(int)
    drawn = np.asarray(comparison(GREY, flat(0.0), copies=pairs_of((0.1, 0.1, 0.3, 0.3)))).astype(int)
    changed = np.abs(drawn - plain).sum(axis=2) > 0
    middle = changed.shape[1] // 2
    assert changed[:, middle:].any()
    assert not changed[:, :middle].any()


def test_nothing_is_drawn_where_nothing_was_copied() -> None:
    assert (np.asarray(draw_copies(GREY, pairs_of())) == np.asarray(GREY)).all()
