"""A few hundred files of the campaign that `tests/chaos/fuzzed_files.py` runs over many thousands."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.mutated_images import KINDS, mutated

from ncl_model.imaging.guarded_decoding import DecodingLimits

CAMPAIGN = Path(__file__).parents[1] / "chaos" / "fuzzed_files.py"


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzzed_files", CAMPAIGN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzzed_files"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_no_fuzzed_file_kills_exceeds_its_memory_or_its_deadline(campaign: ModuleType) -> None:
    result = campaign.run(count=350, seed=7, limits=DecodingLimits(memory_bytes=500_000_000, deadline_s=5.0))
    assert result.failures == []
    assert result.files == 350
    assert {name.split()[0] for name in result.endings} == set(KINDS)
    assert any(name.endswith("scored") for name in result.endings), "not all of them are beyond reading"


def test_a_failure_is_told(campaign: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("a surprise")

    monkeypatch.setattr(campaign.GuardedDecoder, "decode", broken)
    result = campaign.run(count=2, seed=7, limits=DecodingLimits(memory_bytes=500_000_000))
    assert len(result.failures) == 2
    assert "ZeroDivisionError: a surprise" in result.failures[0]


def test_the_same_number_is_the_same_file() -> None:
    mutated.__globals__["_originals"].cache_clear()
    before = [mutated(3, number) for number in range(14)]
    assert [mutated(3, number) for number in range(14)] == before
    assert [mutated(4, number) for number in range(14)] != before
