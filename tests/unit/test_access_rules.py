"""The rules of access that need no database: keys as text, places, rates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.access import KeyText
from jobs.access.errors import KeyRefused
from jobs.domain.places import ANY_BUCKET, Places
from nclscreen.api.rate_limits import RateLimits


def test_a_key_is_read_as_it_was_written() -> None:
    key = KeyText.new()
    assert KeyText.parse(key.text) == key
    assert KeyText.new().text != key.text
    assert len(key.sha256) == 64


@given(st.integers(0, 90), st.sampled_from("0123456789abcdefx_ \x00é"))
def test_one_wrong_character_is_told_as_such(place: int, character: str) -> None:
    key = KeyText.new().text
    wrong = key[:place] + character + key[place + 1 :]
    if wrong == key:
        return
    with pytest.raises(KeyRefused):
        KeyText.parse(wrong)


@pytest.mark.parametrize("text", ["", "ncl_", "ncl_a_b_c", " ", "Bearer"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyRefused):
        KeyText.parse(text)


@pytest.mark.parametrize(
    ("place", "container", "key", "inside"),
    [
        ("s3://archive", "s3://archive", "a/b.jpg", True),
        ("s3://archive", "s3://archive2", "b.jpg", False),
        ("s3://archive/2026", "s3://archive", "2026/1.jpg", True),
        ("s3://archive/2026/", "s3://archive", "2026", True),
        ("s3://archive/2026", "s3://archive", "2026x/1.jpg", False),
        ("s3://archive/2026", "s3://archive", "", False),
        ("file:///srv/photos", "file:///srv/photos", "1.jpg", True),
        ("file:///srv/photos", "file:///srv", "photos2/1.jpg", False),
        ("file:///", "file:///", "etc/passwd", True),
    ],
)
def test_places_go_by_whole_parts(place: str, container: str, key: str, inside: bool) -> None:
    assert Places((place,)).has(container, key) is inside


def test_without_places_buckets_are_open_and_folders_are_not() -> None:
    assert ANY_BUCKET.has("s3://any", "a.jpg")
    assert not ANY_BUCKET.has("file:///srv", "a.jpg")
    assert not Places(()).has("s3://any", "a.jpg")


def test_a_key_that_asks_too_often_waits() -> None:
    now = 0.0
    limits = RateLimits(2.0, clock=lambda: now)
    assert [limits.wait_s("a") for _ in range(20)] == [0.0] * 20, "ten seconds' worth at once"
    assert limits.wait_s("a") == pytest.approx(0.5)
    assert limits.wait_s("b") == 0.0, "others do not wait for it"
    now = 0.5
    assert limits.wait_s("a") == 0.0
    assert limits.wait_s("a") > 0
    now = 1000.0
    assert sum(limits.wait_s("a") == 0.0 for _ in range(30)) == 20, "no more than that is saved up"
