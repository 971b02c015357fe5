"""Dividing a listing: whatever the keys are, the ranges together hold each of them once, in order."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.errors import StorageUnavailable
from jobs.storage import s3_listing, s3_ranges
from jobs.storage.s3_ranges import KeyRange, divide

KEYS = st.lists(st.text(st.sampled_from("ab/.\u00e9\U0010ffff0"), min_size=1, max_size=6), max_size=60, unique=True)


class Store:
    """The keys of a bucket, as S3 sorts them, and how often it was asked."""

    def __init__(self, keys: list[str], *, heeds_start: bool = True) -> None:
        self.keys = sorted(keys)
        self.asked = 0
        #: what one page takes: ranges are to be found meanwhile
        self.page_s = 0.002
        self._heeds_start = heeds_start

    def first(self, prefix: str, after: str) -> str | None:
        self.asked += 1
        behind = after if self._heeds_start else ""
        return next((key for key in self.keys if key.startswith(prefix) and key > behind), None)

    def ask(self, **request: object) -> dict[str, object]:
        self.asked += 1
        if request["MaxKeys"] != 1:
            time.sleep(self.page_s)
        prefix, limit = str(request["Prefix"]), int(str(request["MaxKeys"]))
        start = str(request.get("ContinuationToken") or request.get("StartAfter", "") if self._heeds_start else "")
        start = str(request.get("ContinuationToken", start))
        found = [key for key in self.keys if key.startswith(prefix) and key > start]
        answer: dict[str, object] = {"Contents": [{"Key": key, "Size": 1, "ETag": f'"{key}"'} for key in found[:limit]]}
        if len(found) > limit:
            answer |= {"IsTruncated": True, "NextContinuationToken": found[limit - 1]}
        return answer


def members(ranges: list[KeyRange], keys: list[str]) -> list[str]:
    return [key for each in ranges for key in sorted(keys) if each.holds(key)]


@given(KEYS, st.sampled_from(["", "a", "a/", "ab"]), st.sampled_from(["", "a", "a/0", "b"]))
@example(["a", "aa", "ab", "b"], "", "")
def test_every_key_is_in_one_range_and_the_order_is_kept(keys: list[str], prefix: str, after: str) -> None:
    ranges = divide(Store(keys).first, prefix, after, at_once=3)
    assert ranges == divide(Store(keys).first, prefix, after, at_once=3)
    assert members(ranges, keys) == sorted(key for key in keys if key.startswith(prefix) and key > after)


@given(KEYS, st.text(st.sampled_from("ab/.0\U0010ffff"), max_size=4))
def test_ranges_behind_a_key(keys: list[str], key: str) -> None:
    parts = [each.behind(key) for each in divide(Store(keys).first, "", "")]
    found = members([each for each in parts if each is not None], keys)
    assert found == sorted(each for each in keys if each > key)


@pytest.mark.parametrize(
    "keys",
    [
        [f"archive/2026/photos/IMG_{number:06d}.jpg" for number in range(5000)],
        [
            f"{year}/{month:02d}/{number}.jpg"
            for year in (2025, 2026)
            for month in range(1, 13)
            for number in range(200)
        ],
    ],
    ids=["flat", "folders"],
)
def test_large_buckets_fall_into_many_ranges_of_similar_length(keys: list[str]) -> None:
    store = Store(keys)
    ranges = divide(store.first, "", "")
    lengths = [sum(each.holds(key) for key in keys) for each in ranges]
    assert len(ranges) >= 20
    assert max(lengths) <= len(keys) / 4
    assert store.asked <= s3_ranges.QUESTIONS + 1


def test_a_store_that_does_not_heed_start_after_is_listed_in_one_piece() -> None:
    keys = [f"{number:03d}" for number in range(50)]
    ranges = divide(Store(keys, heeds_start=False).first, "", "")
    assert members(ranges, keys) == keys


@given(KEYS, st.sampled_from(["", "a", "a/"]), st.none() | st.sampled_from(["a", "a/0", "b"]), st.booleans())
def test_a_listing_side_by_side_is_the_listing(keys: list[str], prefix: str, after: str | None, heeds: bool) -> None:
    store = Store(keys, heeds_start=heeds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3_listing, "PAGE_KEYS", 3)
        patch.setattr(s3_listing, "HEAD_PAGES", 2)
        patch.setattr(s3_listing, "LISTS", 3)
        found = list(s3_listing.list_bucket(store.ask, prefix, after or ""))  # type: ignore[arg-type]
    wanted = [key for key in sorted(keys) if key.startswith(prefix) and key > (after or "") and not key.endswith("/")]
    assert [info.key for info in found] == wanted
    assert all(info.etag == info.key and info.size == 1 for info in found)


def test_an_error_in_one_list_is_raised_behind_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "PAGE_KEYS", 10)
    monkeypatch.setattr(s3_listing, "HEAD_PAGES", 1)
    store = Store([f"{number:03d}.jpg" for number in range(300)])
    store.page_s = 0.05

    def ask(**request: object) -> dict[str, object]:
        if str(request["Prefix"]).startswith("15") and request["MaxKeys"] != 1:
            raise ConnectionError("gone")
        return store.ask(**request)

    listing = s3_listing.list_bucket(ask, "", "")  # type: ignore[arg-type]
    seen: list[str] = []
    with pytest.raises(ConnectionError, match="gone"):
        seen.extend(info.key for info in listing)
    assert seen == [f"{number:03d}.jpg" for number in range(150)]


def test_a_listing_may_be_left_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "PAGE_KEYS", 10)
    monkeypatch.setattr(s3_listing, "HEAD_PAGES", 1)
    store = Store([f"{number:03d}.jpg" for number in range(900)])
    store.page_s = 0.05
    listing = s3_listing.list_bucket(store.ask, "", "")  # type: ignore[arg-type]
    assert [next(listing).key for _ in range(15)] == [f"{number:03d}.jpg" for number in range(15)]
    listing.close()  # type: ignore[attr-defined]


def test_ranges_that_cannot_be_found_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "PAGE_KEYS", 10)
    monkeypatch.setattr(s3_listing, "HEAD_PAGES", 1)
    store = Store([f"{number:03d}.jpg" for number in range(100)])

    def ask(**request: object) -> dict[str, object]:
        if request["MaxKeys"] == 1:
            raise StorageUnavailable("s3://x", "slow down")
        return store.ask(**request)

    assert [info.key for info in s3_listing.list_bucket(ask, "", "")] == store.keys  # type: ignore[arg-type]


def test_a_long_listing_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "PAGE_KEYS", 10)
    monkeypatch.setattr(s3_listing, "HEAD_PAGES", 1)
    store = Store([f"{number:03d}.jpg" for number in range(900)])
    store.page_s = 0.05
    prefixes: set[str] = set()

    def ask(**request: object) -> dict[str, object]:
        if request["MaxKeys"] != 1:
            prefixes.add(str(request["Prefix"]))
        return store.ask(**request)

    assert [info.key for info in s3_listing.list_bucket(ask, "", "")] == store.keys  # type: ignore[arg-type]
    assert len(prefixes) > 10
