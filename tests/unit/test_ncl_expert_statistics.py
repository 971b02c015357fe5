"""One number per expert and image: against numpy, without padding, and what moves it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from support.training_material import TINY_EXPERTS
from torch import Tensor

from ncl_model.architecture.config import NclConfig, Statistic
from ncl_model.architecture.network import ExpertOutput, NclOutput
from ncl_model.errors import ConfigInvalid
from ncl_model.inference.expert_statistics import KINDS, statistics

#: (height, width) of the photographs on a canvas of 64 x 96
SIZES = [(64, 96), (50, 41)]


def output_of(seed: int = 0, move: float = 0.0) -> NclOutput:
    """Two images; ``move`` is added to every logit of every map, heads are left alone."""
    generator = torch.Generator().manual_seed(seed)

    def maps(side: int) -> Tensor:
        return 3 * torch.randn(2, 1, 64 // side, 96 // side, generator=generator) + move

    def heads() -> Tensor:
        return torch.randn(2, generator=generator)

    seen = ExpertOutput((maps(8), maps(4)), torch.zeros(2, 4, 16, 24), heads())
    traced = ExpertOutput((maps(8), maps(4)), torch.zeros(2, 4, 8, 12), heads())
    return NclOutput((maps(4),), seen.patches, (seen.image + traced.image) / 2, (seen, traced))


def by_numpy(logits: Tensor, head: float, size: tuple[int, int], statistic: Statistic) -> float:
    stride = 64 // logits.shape[0]
    rows, columns = -(-size[0] // stride), -(-size[1] // stride)
    values = np.sort(logits.numpy()[:rows, :columns].ravel())[::-1]
    top = values[: max(1, round(values.size / 100))].mean()
    if statistic == "level":
        return float((head + top) / 2)
    return float(top - np.quantile(values, 0.5, method="lower") + head / 4)


@pytest.mark.parametrize("statistic", ["level", "contrast"])
def test_against_numpy(statistic: Statistic) -> None:
    output = output_of()
    assert output.image is not None
    maps = [*(expert.logits[-1] for expert in output.experts), output.logits[-1]]
    heads = [*(expert.image for expert in output.experts), output.image]
    for index, found in enumerate(statistics(output, SIZES, statistic)):
        for kind, logits, head in zip(KINDS, maps, heads, strict=True):
            wanted = by_numpy(logits[index, 0], float(head[index]), SIZES[index], statistic)
            assert found[kind] == pytest.approx(wanted, abs=1e-5)


def test_a_contrast_does_not_see_what_moves_all_of_a_map() -> None:
    for kind in KINDS:
        for plain, moved in zip(
            statistics(output_of(), SIZES, "contrast"), statistics(output_of(move=2.0), SIZES, "contrast"), strict=True
        ):
            assert moved[kind] == pytest.approx(plain[kind], abs=1e-5)
        level, raised = (statistics(output_of(move=move), SIZES, "level")[0][kind] for move in (0.0, 2.0))
        assert raised == pytest.approx(level + 1.0, abs=1e-5)


@pytest.mark.parametrize("statistic", ["level", "contrast"])
def test_what_stands_out_more_counts_more(statistic: Statistic) -> None:
    output = output_of()
    before = statistics(output, SIZES, statistic)[0]["together"]
    output.logits[0][0, 0, 3:6, 3:8] += 20
    assert statistics(output, SIZES, statistic)[0]["together"] > before + 5


def test_weights_of_before_keep_their_statistic_and_their_fingerprint() -> None:
    assert TINY_EXPERTS.statistic == "level"
    assert "statistic" not in TINY_EXPERTS.to_dict()
    changed = dataclasses.replace(TINY_EXPERTS, statistic="contrast")
    assert NclConfig.from_json(changed.to_json()) == changed != TINY_EXPERTS
    with pytest.raises(ConfigInvalid) as caught:
        dataclasses.replace(TINY_EXPERTS, statistic="median")  # type: ignore[arg-type]
    assert caught.value.field == "statistic"
