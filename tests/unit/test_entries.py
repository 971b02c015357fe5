"""The packed manifest of one shard."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from support.builders import entries

from jobs.domain import ImageKey, ImageRef
from jobs.shards.entries import pack_entries, unpack_entries

#: all of Unicode but halves of surrogate pairs, which no storage gives and no manifest may name
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
REFS = st.builds(
    ImageRef,
    container=st.sampled_from(["s3://a", "s3://b", "file:///x%20y"]),
    key=TEXT.map(ImageKey),
    size=st.none() | st.integers(0, 2**63 - 1),
    etag=st.none() | TEXT,
    version_id=st.none() | TEXT,
)


@given(st.lists(REFS, max_size=20))
def test_what_was_packed_comes_back(refs: list[ImageRef]) -> None:
    assert unpack_entries(pack_entries(refs)) == tuple(refs)


def test_a_large_shard_takes_little_room() -> None:
    assert len(pack_entries(entries(512))) < 512 * 15


def test_containers_are_written_once() -> None:
    long = "file:///" + string.ascii_lowercase * 100
    refs = [ImageRef(container=long, key=ImageKey(str(i))) for i in range(100)]
    assert len(pack_entries(refs)) < 2 * len(long)
