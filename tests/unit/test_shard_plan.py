"""Cutting a corpus into shards."""

from __future__ import annotations

from itertools import islice, repeat

from hypothesis import given
from hypothesis import strategies as st

from jobs.preparation.shard_plan import FIRST_SHARD, LARGEST_SHARD, SHARDS_PER_SIZE, cut, shard_sizes


@given(st.integers(0, 3000), st.integers(1, 40), st.integers(1, 300))
def test_every_entry_is_in_one_shard_and_in_order(count: int, first: int, largest: int) -> None:
    shards = list(cut(range(count), shard_sizes(first, largest)))
    assert [entry for shard in shards for entry in shard] == list(range(count))
    assert all(shards)


@given(st.integers(1, 64), st.integers(1, 600))
def test_sizes_never_fall_and_never_pass_the_largest(first: int, largest: int) -> None:
    sizes = list(islice(shard_sizes(first, largest), 200))
    assert sizes == sorted(sizes)
    assert sizes[0] == min(first, largest)
    assert sizes[-1] == largest


def test_so_many_shards_of_one_size_then_twice_as_large() -> None:
    sizes = list(islice(shard_sizes(), 2 * SHARDS_PER_SIZE))
    assert sizes == [FIRST_SHARD] * SHARDS_PER_SIZE + [2 * FIRST_SHARD] * SHARDS_PER_SIZE
    assert next(islice(shard_sizes(), 10_000, None)) == LARGEST_SHARD


def test_all_shards_but_the_last_have_the_planned_size() -> None:
    assert [len(shard) for shard in cut(range(10), iter([2, 3, 4, 5]))] == [2, 3, 4, 1]


def test_no_entries_no_shards() -> None:
    assert list(cut([], shard_sizes())) == []


def test_no_entry_is_taken_before_its_shard_is_asked_for() -> None:
    taken: list[int] = []

    def take(i: int) -> int:
        taken.append(i)
        return i

    for held, shard in enumerate(cut(map(take, range(1000)), repeat(10)), start=1):
        assert len(taken) == 10 * held
        assert shard == taken[-10:]
    assert len(taken) == 1000
