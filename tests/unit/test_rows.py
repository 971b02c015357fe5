"""Between rows and records."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import entry, scored, unreadable

from jobs.domain import Filters, JobId
from jobs.sql.rows import (
    HALF,
    filters_from_json,
    filters_to_json,
    hash_key,
    pack_areas,
    tampered_area,
    unpack_areas,
    verdicts_to_rows,
)
from jobs.stored_text import is_storable, storable
from ncl_model.inference.scoring import AREA_CUTOFFS

AREAS = st.lists(st.floats(0, 1), min_size=16, max_size=16)


@given(AREAS)
def test_areas_survive_to_a_65535th(areas: list[float]) -> None:
    assert unpack_areas(pack_areas([areas])[0]) == pytest.approx(areas, abs=0.5 / 65535 + 1e-12)


def test_none_and_all_of_the_image_are_exact() -> None:
    assert unpack_areas(pack_areas([[0.0, 1.0]])[0]) == (0.0, 1.0)


def test_half_is_the_cutoff_at_one_half() -> None:
    assert AREA_CUTOFFS[HALF] == 0.5
    assert tampered_area(scored(0, entry("a"), 0.5)) == 1.0
    assert tampered_area(scored(0, entry("a"), 0.49)) == 0.0
    assert tampered_area(unreadable(0, entry("a"))) is None


@given(
    st.builds(
        Filters,
        suffixes=st.lists(st.text(max_size=5)).map(tuple),
        contains=st.none() | st.text(),
        modified_after=st.none() | st.floats(0, 2e9),
        min_bytes=st.none() | st.integers(0, 2**40),
    )
)
def test_filters_survive_json(filters: Filters) -> None:
    assert filters_from_json(json.loads(json.dumps(filters_to_json(filters)))) == filters


@given(st.text())
def test_a_key_hash_is_short_and_always_the_same(key: str) -> None:
    assert len(hash_key(key)) == 32
    assert hash_key(key) == hash_key(key)
    assert hash_key(key) != hash_key(key + "x")


@given(st.text(st.characters()))
def test_stored_text_can_be_stored(text: str) -> None:
    kept = storable(text, limit=20)
    assert kept is not None
    assert len(kept) <= 20
    assert "\0" not in kept
    kept.encode()
    assert is_storable(kept)
    assert is_storable(text) == (storable(text, limit=len(text)) == text)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x\udfff"])
def test_what_no_database_keeps(text: str) -> None:
    assert not is_storable(text)


def test_an_error_row_has_no_score_and_a_bounded_message() -> None:
    (row,) = verdicts_to_rows(JobId("j"), [unreadable(3, entry("a"), message="\0" + "x" * 10_000)])
    assert (row["score"], row["tampered_area"], row["tampered_areas"], row["flagged"]) == (None, None, None, False)
    assert row["error_code"] == "corrupt"
    assert len(row["error_message"]) == 500


def test_a_score_row_has_no_error() -> None:
    (row,) = verdicts_to_rows(JobId("j"), [scored(3, entry("a"), 0.75)])
    assert (row["score"], row["flagged"], row["tampered_area"]) == (0.75, True, 1.0)
    assert (row["error_code"], row["error_message"]) == (None, None)


def test_areas_go_to_their_own_verdict() -> None:
    results = [scored(0, entry("a"), 0.9), unreadable(1, entry("b")), scored(2, entry("c"), 0.1)]
    rows = verdicts_to_rows(JobId("j"), results)
    assert [row["tampered_areas"] and unpack_areas(row["tampered_areas"]) for row in rows] == [
        results[0].tampered_areas,
        None,
        results[2].tampered_areas,
    ]
