"""A few hundred files of the campaign that `tests/chaos/fuzzed_files.py` runs over many thousands.

What it takes for images is judged here, too.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.mutated_images import KINDS, mutated
from support.tiny_model import save_every_evidence_model

from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder
from ncl_model.inference.predictor import Predictor

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


def test_what_is_left_of_a_fuzzed_image_gets_the_same_verdict_twice(tmp_path: Path) -> None:
    predictor = Predictor.setup(save_every_evidence_model(tmp_path / "evidence.safetensors"))
    decoder = GuardedDecoder(DecodingLimits(memory_bytes=500_000_000, deadline_s=5.0))
    judged: set[str] = set()
    kinds: set[str] = set()
    reasons: set[str] = set()
    for number in range(42):
        form, data = mutated(36, number)  # of this seed, some of every format can still be read
        try:
            images = [decoder.decode(data, config=predictor.config) for _ in range(2)]
        except ImageUnreadable:
            continue
        one, other = (predictor.localize([image])[0] for image in images)
        assert 0 <= one.score <= 1, number  # NaN is not
        assert one.heatmap.shape == (images[0].valid_height, images[0].valid_width), number
        if max(one.width, one.height) <= predictor.config.input_size:
            assert one.heatmap.shape == (one.height, one.width), number
        assert one.evidence is not None
        assert all(0 <= score <= 1 for score in one.evidence.scores.values()), number
        assert (one.score, one.tampered_areas, one.evidence) == (other.score, other.tampered_areas, other.evidence)
        np.testing.assert_array_equal(one.heatmap, other.heatmap, err_msg=str(number))
        judged.add(form)
        kinds |= one.evidence.scores.keys()
        reasons |= set(one.evidence.untestable.values())
    decoder.close()
    assert len(judged) > 4
    assert kinds == {"pixels", "traces", "together", "copies"}
    assert "no_grid" in reasons
