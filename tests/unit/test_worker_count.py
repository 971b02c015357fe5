"""How many workers are to train: numbers and ranges as people write them, and what a batch can be shared by."""

from __future__ import annotations

import pytest

from ncl_model.distributed.worker_count import WorkerCount, most_that_share
from ncl_model.errors import ConfigInvalid
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.retrain_request import RetrainRequest


@pytest.mark.parametrize(
    ("written", "least", "most", "changes"),
    [("0", 0, 0, False), ("4", 4, 4, False), ("1-4", 1, 4, True), ("2-2", 2, 2, False)],
)
def test_a_number_or_a_range(written: str, least: int, most: int, changes: bool) -> None:
    found = WorkerCount.of(written)
    assert (found.least, found.most, found.changes) == (least, most, changes)


@pytest.mark.parametrize("wrong", ["", "-1", "1-", "-4", "4-1", "0-2", "1-2-3", "two", "1.5", "1 - 4", "1234567"])
def test_what_is_neither_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigInvalid, match="is no number of workers, as 4, and no range of them, as 1-4"):
        WorkerCount.of(wrong)
    with pytest.raises(InvalidRequest, match="workers"):
        RetrainRequest(data=("/",), workers=wrong).check()


@pytest.mark.parametrize("written", ["4", "1-4", "3-4"])
def test_the_largest_number_shares_the_batch(written: str) -> None:
    WorkerCount.of(written).check_shares(16, 2)
    with pytest.raises(ConfigInvalid, match="6 cannot be shared by 4 workers; take a multiple of 8"):
        WorkerCount.of(written).check_shares(6, 2)


@pytest.mark.parametrize(
    ("batch_size", "parts", "present", "share"),
    [(8, 1, 4, 4), (8, 1, 3, 2), (8, 2, 3, 2), (8, 4, 3, 2), (8, 8, 3, 1), (12, 1, 5, 4), (5, 1, 4, 1), (8, 1, 1, 1)],
)
def test_of_the_workers_that_are_there_as_many_as_can_share_a_batch(
    batch_size: int, parts: int, present: int, share: int
) -> None:
    assert most_that_share(batch_size, parts, present) == share


def test_a_file_may_say_a_number() -> None:
    assert RetrainRequest.of({"data": ["a"], "workers": 2}).workers == "2"
    assert RetrainRequest.of({"data": ["a"], "workers": "1-4"}).workers == "1-4"
    assert RetrainRequest.of({"data": ["a"]}).document["workers"] == "0"
