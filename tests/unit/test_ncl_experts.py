"""Two experts and the map they make together: shapes, who learns from what, and the loss of all of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.training_material import TINY, TINY_EXPERTS
from torch import Tensor

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.experts import ExpertsNetwork
from ncl_model.architecture.network import NclNetwork, NclOutput
from ncl_model.architecture.registry import build_network, channels_last, last_bias
from ncl_model.errors import ConfigInvalid
from ncl_model.inference.checkpoint import load_checkpoint, shipped_weights
from ncl_model.losses.objective import LossConfig, Objective
from ncl_model.losses.pivot_consistent import pivot_consistent_loss

LOSS = LossConfig(mu=0.3, warmup_steps=0, projection=6, centred=True)

#: of the weights that were shipped, in float32
FINGERPRINTS = {
    "small 2": "5980b0e64fd0319db92d821ea818a6210e5125cbecac733049b4d2e430764b94",
    "experts 4": "b062dfc08a029212accb0b8ae4ea0f78bad0dd9004c1ff5757ab65a75a081e66",
}


def network_of(seed: int = 0, **changes: object) -> ExpertsNetwork:
    torch.manual_seed(seed)
    built = build_network(dataclasses.replace(TINY_EXPERTS, **changes))  # type: ignore[arg-type]
    assert isinstance(built, ExpertsNetwork)
    return built


def batch(images: int = 2, height: int = 64, width: int = 96) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, masks with every kind of patch at both levels, and grids."""
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (images, 3, height, width), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(images, 1, height, width)
    mask[:, :, 10:46, 12:61] = 1
    return pixels, mask, torch.randint(0, 8, (images, 2, 2), generator=generator)


def objective_of(network: ExpertsNetwork, config: LossConfig = LOSS) -> Objective:
    return Objective(config, *network.patch_channels)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize(("residual", "stem"), [("srm", "deep"), ("none", "conv7")])
@pytest.mark.parametrize("encoder_channels", [0, 12])
def test_maps_and_features_of_both_experts(stride: int, residual: str, stem: str, encoder_channels: int) -> None:
    network = network_of(output_stride=stride, residual=residual, stem=stem, encoder_channels=encoder_channels).eval()
    pixels, _, grids = batch()
    with torch.no_grad():
        output = network(pixels, grids=grids)
    seen, traced = output.experts
    assert [tuple(each.shape) for each in output.logits] == [(2, 1, 16, 24)]
    for expert in (seen, traced):
        assert [tuple(each.shape) for each in expert.logits] == [(2, 1, 8, 12), (2, 1, 16, 24)]
        assert expert.image.shape == (2,)
    assert network.patch_channels == (seen.patches.shape[1], traced.patches.shape[1])
    assert (seen.patches.shape[2:], traced.patches.shape[2:]) == ((16, 24), (8, 12)), "patches of 4 and of 8 pixels"
    assert output.patches is seen.patches
    assert output.image is not None
    torch.testing.assert_close(output.image, (seen.image + traced.image) / 2)
    assert output.map_logits().shape == (2, 1, 64, 96)
    everything = [*output.logits, *seen.logits, *traced.logits, output.image]
    assert all(bool(torch.isfinite(each).all()) for each in everything)


def test_the_last_stages_of_the_backbone_can_be_slimmer() -> None:
    assert network_of(encoder_channels=12).pixels.backbone.channels == (8, 8, 12, 12)
    assert network_of().pixels.backbone.channels == (8, 8, 16, 64)


def test_the_map_is_brought_to_the_size_of_the_input_without_steps() -> None:
    logits = torch.arange(16.0).view(1, 1, 4, 4)
    output = NclOutput((logits,), torch.zeros(1, 2, 4, 4))
    enlarged = output.map_logits()
    assert enlarged.shape == (1, 1, 16, 16)
    assert float(enlarged[0, 0].diff(dim=1).max()) <= 0.25 + 1e-6
    whole = torch.randn(1, 1, 16, 16)
    assert NclOutput((logits, whole), torch.zeros(1, 2, 4, 4)).map_logits() is whole


def test_the_map_of_both_teaches_no_expert() -> None:
    network = network_of().train()
    pixels, mask, grids = batch()
    output = network(pixels, grids=grids)
    pivot_consistent_loss(output.logits, mask, mu=0.3).backward()  # type: ignore[no-untyped-call]
    taught = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught == {"join", "join_head"}


@pytest.mark.parametrize("who", [0, 1])
def test_an_expert_teaches_itself_alone(who: int) -> None:
    network = network_of().train()
    pixels, mask, grids = batch()
    expert = network(pixels, grids=grids).experts[who]
    (pivot_consistent_loss(expert.logits, mask, mu=0.3) + expert.image.sum()).backward()
    taught = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught == {("pixels", "traces")[who]}


def test_every_parameter_learns_from_the_whole_loss() -> None:
    network = network_of().train()
    objective = objective_of(network).train()
    pixels, mask, grids = batch(4)
    mask[0] = 0
    for head in [*network.pixels.heads(), *network.traces.heads(), network.join_head]:
        torch.nn.init.normal_(head.weight, std=0.5)
    objective(network(pixels, grids=grids), mask, step=1).total.backward()
    for name, parameter in [*network.named_parameters(), *objective.named_parameters()]:
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_the_loss_is_that_of_each_expert_and_of_both() -> None:
    network = network_of().train()
    objective = objective_of(network, dataclasses.replace(LOSS, omega=0.3, image_weight=0.7))
    pixels, mask, grids = batch()
    mask[1] = 0
    output = network(pixels, grids=grids)
    parts = objective(output, mask, step=5)
    consistent = sum(
        pivot_consistent_loss(logits, mask, mu=0.3)
        for logits in (output.logits, *(expert.logits for expert in output.experts))
    )
    truth = torch.tensor([1.0, 0.0])
    heads = [torch.nn.functional.binary_cross_entropy_with_logits(e.image, truth) for e in output.experts]
    levels = [
        level(expert.patches, mask, lambda count: count)
        for level, expert in zip(objective.levels, output.experts, strict=True)
    ]
    torch.testing.assert_close(parts.pivot_consistent, consistent)
    torch.testing.assert_close(parts.image, torch.stack(heads).mean())
    torch.testing.assert_close(parts.contrast, levels[0].loss + levels[1].loss)
    torch.testing.assert_close(parts.against_chance, (levels[0].against_chance + levels[1].against_chance) / 2)
    assert float(parts.contrast) > 0
    torch.testing.assert_close(parts.total, consistent + 0.3 * parts.contrast + 0.7 * parts.image)


def test_nothing_in_half_precision_or_channels_last_is_beyond_numbers() -> None:
    network = channels_last(network_of()).train()
    assert isinstance(network, ExpertsNetwork)
    objective = objective_of(network)
    pixels, mask, grids = batch()
    laid = pixels.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(laid, grids=grids)
        parts = objective(output, mask, step=1)
    assert output.logits[0].dtype == torch.bfloat16
    assert parts.total.dtype == torch.float32
    assert all(torch.isfinite(part) for part in parts)
    parts.total.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@torch.no_grad()
def test_half_precision_says_nearly_the_same() -> None:
    network = network_of().eval()
    for head in [*network.pixels.heads(), *network.traces.heads(), network.join_head]:
        torch.nn.init.normal_(head.weight, std=0.5)
    pixels, _, grids = batch()
    exact = network(pixels, grids=grids).logits[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = network(pixels, grids=grids).logits[0].float()
    assert float((half - exact).abs().mean()) < 0.1 * float(exact.std())


@torch.no_grad()
def test_without_grids_blocks_begin_at_the_first_pixel() -> None:
    network = network_of().eval()
    pixels, _, grids = batch()
    assert torch.equal(
        network(pixels).logits[0], network(pixels, grids=torch.zeros(2, 2, 2, dtype=torch.int64)).logits[0]
    )
    assert not torch.equal(network(pixels).logits[0], network(pixels, grids=grids).logits[0])


@pytest.mark.parametrize("shape", [(1, 3, 64, 65), (1, 1, 64, 64), (3, 64, 64)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"pixels must be|multiples of 32"):
        network_of()(torch.zeros(shape))


@pytest.mark.parametrize("config", [TINY, TINY_EXPERTS])
def test_the_parameter_that_shifts_the_prediction_is_known_by_name(config: NclConfig) -> None:
    torch.manual_seed(0)
    network = build_network(config).eval()
    pixels, _, _ = batch()
    with torch.no_grad():
        before = network(pixels).map_logits()
        dict(network.named_parameters())[last_bias(config)].add_(1.5)
        torch.testing.assert_close(network(pixels).map_logits(), before + 1.5)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("architecture", {"compression": "none"}),
        ("architecture", {"head": "none", "score_rule": "top_mean"}),
        ("architecture", {"architecture": "several"}),
        ("grid", {"architecture": "joined"}),
        ("grid", {"grid": "guessed"}),
        ("encoder_channels", {"encoder_channels": -1}),
        ("encoder_channels", {"encoder_channels": 2.0}),
    ],
)
def test_a_config_that_cannot_be_built_names_its_field(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        dataclasses.replace(TINY_EXPERTS, **changes)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_configs_of_experts_survive_json() -> None:
    assert NclConfig.from_json(TINY_EXPERTS.to_json()) == TINY_EXPERTS
    assert {"architecture", "grid"} <= TINY_EXPERTS.to_dict().keys()


def test_older_configs_read_and_write_as_before() -> None:
    assert sorted(NclConfig().to_dict()) == [
        "aspp_channels", "backbone", "decoder_channels", "geometry", "input_size", "mean", "output_stride", "residual",
        "score_top_fraction", "std", "stem", "width",
    ]  # fmt: skip
    assert isinstance(build_network(TINY), NclNetwork)


@pytest.mark.parametrize("path", sorted(shipped_weights().parent.glob("*.safetensors")), ids=lambda path: path.stem)
def test_the_shipped_weights_are_the_model_they_were(path: Path) -> None:
    """Whoever has verdicts of these weights finds them again: a new field must not change their fingerprint.

    New weights add a line to ``FINGERPRINTS``.
    """
    shipped = load_checkpoint(path)
    assert shipped.fingerprint("float32") == FINGERPRINTS[f"{shipped.name} {shipped.version}"]
    assert NclConfig.from_json(shipped.config.to_json()) == shipped.config
