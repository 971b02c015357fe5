"""Heatmaps as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.builders import entries, lease

from jobs.domain import ImageKey, JobId
from jobs.screening.heatmaps import StoredHeatmaps, decode_heatmap, encode_heatmap
from jobs.storage import FolderStorage, MemoryStorage, split_object_uri

LEASE = lease(entries(1), job_id=JobId("j1"))


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_every_value_survives(heatmap: np.ndarray) -> None:
    assert np.array_equal(decode_heatmap(encode_heatmap(heatmap)), heatmap)


def test_a_faint_map_is_not_stretched() -> None:
    faint = np.array([[0, 3]], dtype=np.uint8)
    assert decode_heatmap(encode_heatmap(faint)).tolist() == [[0, 3]]


def test_a_view_into_a_larger_array_is_kept_as_it_is_seen() -> None:
    whole = np.arange(100, dtype=np.uint8).reshape(10, 10)
    view = whole[2:5, ::3]
    assert np.array_equal(decode_heatmap(encode_heatmap(view)), view)


@pytest.mark.parametrize(("prefix", "start"), [("", ""), ("maps", "maps/"), ("/a/b/", "a/b/")])
def test_where_a_map_lies(prefix: str, start: str) -> None:
    storage = MemoryStorage("memory://m")
    uri = StoredHeatmaps(storage, prefix).save(LEASE, 1_234_567, np.zeros((2, 2), dtype=np.uint8))
    assert uri == f"memory://m/{start}j1/001234/001234567-1-1.png"
    assert [info.key for info in storage.list_objects()] == [f"{start}j1/001234/001234567-1-1.png"]


def test_a_second_attempt_writes_over_the_first_and_the_address_leads_back(tmp_path: Path) -> None:
    folder = tmp_path / "maps 100%"
    folder.mkdir()
    heatmaps = StoredHeatmaps(FolderStorage.at(folder))
    first = heatmaps.save(LEASE, 0, np.full((2, 2), 1, dtype=np.uint8))
    second = heatmaps.save(LEASE, 0, np.full((2, 2), 2, dtype=np.uint8))
    assert first == second
    container, key = split_object_uri(second)
    assert decode_heatmap(FolderStorage(container).read(ImageKey(key))).tolist() == [[2, 2], [2, 2]]
