"""Large canvases, which the expert of pixels sees at half size: what it sees, and how it learns to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from support.textured import textured
from support.training_material import TINY, TINY_EXPERTS, recipe
from torch import Tensor, nn

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.experts import ExpertsNetwork
from ncl_model.architecture.registry import build_network
from ncl_model.errors import ConfigInvalid
from ncl_model.inference.checkpoint import Checkpoint, pack_weights
from ncl_model.inference.expert_statistics import KINDS, statistics
from ncl_model.inference.predictor import Predictor
from ncl_model.losses.objective import LossConfig, Objective
from ncl_model.training.training_module import TrainingModule

HALVED = dataclasses.replace(TINY_EXPERTS, halved_above=96, input_size=160)


def network_of(config: NclConfig, seed: int = 0) -> ExpertsNetwork:
    torch.manual_seed(seed)
    built = build_network(config)
    assert isinstance(built, ExpertsNetwork)
    for head in [*built.pixels.heads(), *built.traces.heads(), built.join_head]:
        nn.init.normal_(head.weight, std=0.5)
    return built.eval()


def canvas(height: int, width: int, images: int = 1) -> Tensor:
    return torch.from_numpy(np.stack([textured(i, height, width) for i in range(images)])).permute(0, 3, 1, 2)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(160, 96), (64, 128), (160, 160), (32, 160), (128, 32)])
def test_the_expert_of_pixels_sees_means_of_four_and_the_expert_of_traces_all(shape: tuple[int, int]) -> None:
    halved, whole = network_of(HALVED), network_of(dataclasses.replace(HALVED, halved_above=0))
    pixels = canvas(*shape)
    sizes = [(shape[0] - 9, shape[1] - 14)]
    found, plain = halved(pixels, sizes), whole(pixels, sizes)
    means = pixels.float().unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean(dim=(3, 5))
    seen, _ = whole.pixels(means, [((sizes[0][0] + 1) // 2, sizes[0][1] // 2)])
    for mine, other in zip([*found.experts[0].logits, found.experts[0].image], [*seen.logits, seen.image], strict=True):
        torch.testing.assert_close(mine, other)
    for mine, other in zip(found.experts[1].logits, plain.experts[1].logits, strict=True):
        assert torch.equal(mine, other), "traces do not survive a resize: they are read as they are"
    assert found.logits[0].shape == plain.logits[0].shape
    assert not torch.allclose(found.logits[0], plain.logits[0])
    assert found.map_logits().shape == plain.map_logits().shape == (1, 1, *shape)
    assert (found.size, plain.size) == (shape, shape)


@torch.no_grad()
def test_no_canvas_is_halved_up_to_the_limit_and_none_without_one() -> None:
    limited, whole = network_of(HALVED), network_of(dataclasses.replace(HALVED, halved_above=0))
    assert torch.equal(limited(canvas(96, 64)).logits[0], whole(canvas(96, 64)).logits[0])
    assert torch.equal(limited(canvas(160, 64), halved=False).logits[0], whole(canvas(160, 64)).logits[0])
    assert torch.equal(limited(canvas(160, 64)).logits[0], whole(canvas(160, 64), halved=True).logits[0])


@torch.no_grad()
def test_padding_says_nothing_at_half_size_either() -> None:
    """What lies beyond the photograph may be anything: no statistic moves by it but for what convolutions look at."""
    network = network_of(HALVED)
    pixels = canvas(160, 96)
    output = network(pixels, [(160, 80)])
    (found,) = statistics(output, [(160, 80)])
    assert set(found) == set(KINDS)
    logits = output.experts[0].logits[-1][0, 0]
    assert logits.shape == (20, 12), "8 pixels of the canvas each"
    top = logits[:, :10].flatten().topk(round(0.01 * 200)).values.mean()
    assert found["pixels"] == pytest.approx((float(output.experts[0].image[0]) + float(top)) / 2, abs=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_verdict_does_not_depend_on_its_batch(precision: str) -> None:
    network = network_of(HALVED)
    checkpoint = Checkpoint(config=HALVED, weights=pack_weights(network.state_dict()), name="halved", version="0")
    predictor = Predictor(network, checkpoint, precision)  # type: ignore[arg-type]
    batch = np.stack([textured(i, 128, 160) for i in range(3)])
    sizes = [(128, 160), (120, 150), (97, 131)]
    together = predictor.judge(batch, sizes)
    for index in range(3):
        (alone,) = predictor.judge(batch[index : index + 1], sizes[index : index + 1])
        assert alone.score == together[index].score
        assert np.array_equal(alone.probabilities, together[index].probabilities)


def test_every_parameter_learns_from_squares_at_half_size() -> None:
    network = network_of(HALVED).train()
    objective = Objective(LossConfig(mu=0.3, warmup_steps=0, projection=6, centred=True), *network.patch_channels)
    mask = torch.zeros(4, 1, 128, 128)
    mask[1:, :, 20:92, 24:100] = 1
    objective(network(canvas(128, 128, 4), halved=True), mask, step=1).total.backward()
    for name, parameter in [*network.named_parameters(), *objective.named_parameters()]:
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_a_share_of_the_steps_is_at_half_size_and_every_worker_draws_the_same() -> None:
    asked: list[list[bool]] = []
    for _ in range(2):
        module = TrainingModule(recipe(network=TINY_EXPERTS, halved=0.3), lambda count: count, "float32")
        asked.append([module._options(step, None)["halved"] for step in range(2000)])
    assert asked[0] == asked[1]
    assert 0.26 < np.mean(asked[0]) < 0.34
    other = TrainingModule(recipe(network=TINY_EXPERTS, halved=0.3, seed=2), lambda count: count, "float32")
    assert [other._options(step, None)["halved"] for step in range(2000)] != asked[0]
    plain = TrainingModule(recipe(network=TINY_EXPERTS), lambda count: count, "float32")
    assert plain._options(1, None) == {}, "and without a share the config decides, as everywhere"


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("halved_above", lambda: dataclasses.replace(TINY, halved_above=640)),
        ("halved_above", lambda: dataclasses.replace(TINY_EXPERTS, halved_above=-1)),
        ("halved_above", lambda: dataclasses.replace(TINY_EXPERTS, halved_above=640.0)),
        ("halved", lambda: recipe(network=TINY, halved=0.2)),
        ("halved", lambda: recipe(network=TINY_EXPERTS, halved=1.5)),
    ],
)
def test_what_cannot_be_is_told_by_its_field(field: str, make: object) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        make()  # type: ignore[operator]
    assert caught.value.field == field


def test_the_config_keeps_it_and_is_silent_about_none() -> None:
    assert NclConfig.from_json(HALVED.to_json()) == HALVED
    assert "halved_above" not in TINY_EXPERTS.to_dict()
