"""Names from outside, made safe to look at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nclscreen.visible_text import shorten_end, shorten_middle, visible_parts, visible_text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("two\nlines\r\t.jpg", "two\\nlines\\r\\t.jpg"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("bell\x07esc\x1b[31m", "bell\\x07esc\\x1b[31m"),
        ("no\u00a0break", "no\\xa0break"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("lone \ud800", "lone \\ud800"),
        ("ünï 写真 عربي 😀", "ünï 写真 عربي 😀"),
    ],
)
def test_hidden_characters_become_escapes_and_others_stay(text: str, seen: str) -> None:
    assert visible_text(text) == seen


def test_the_parts_say_what_was_hidden() -> None:
    assert visible_parts("a\n\u202eb\\n") == [("a", False), ("\\n\\u202e", True), ("b\\n", False)]


@given(st.text())
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert visible_text(text).isprintable()


@given(st.text(), st.integers(3, 50))
def test_shortening_keeps_both_ends_and_the_limit(text: str, limit: int) -> None:
    short = shorten_middle(text, limit)
    assert len(short) <= limit
    if len(text) > limit:
        begin, end = short.split("…", 1) if text.count("…") == 0 else (short[:1], short[-1:])
        assert text.startswith(begin)
        assert text.endswith(end)


@given(st.text(), st.integers(1, 50))
def test_shortening_the_end_keeps_the_beginning_and_the_limit(text: str, limit: int) -> None:
    short = shorten_end(text, limit)
    assert len(short) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
