"""How many workers are to train: numbers and ranges as people write them, and what a batch can be shared by."""

from __future__ import annotations

import pytest

from ncl_model.distributed.worker_count import WorkerCount
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


def test_every_number_that_a_run_may_come_to_have_shares_the_batch() -> None:
    WorkerCount.of("1-4").check_shares(24, 2)
    WorkerCount.of("4").check_shares(8, 2)
    with pytest.raises(ConfigInvalid, match="8 cannot be shared by 3 workers; take a multiple of 12, or other numbers"):
        WorkerCount.of("1-4").check_shares(8, 1)
    with pytest.raises(ConfigInvalid, match=r"8 cannot be shared by 3 workers; take a multiple of 6$"):
        WorkerCount.of("3").check_shares(8, 2)


def test_a_file_may_say_a_number() -> None:
    assert RetrainRequest.of({"data": ["a"], "workers": 2}).workers == "2"
    assert RetrainRequest.of({"data": ["a"], "workers": "1-4"}).workers == "1-4"
    assert RetrainRequest.of({"data": ["a"]}).document["workers"] == "0"
