"""The network's shapes at every stride, what is fixed in it, and its config."""

from __future__ import annotations

import json

import pytest
import torch

from ncl_model.architecture.backbone import ResidualFilters
from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import NclNetwork
from ncl_model.errors import ConfigInvalid
from ncl_model.losses.pivot_consistent import contour, pivot_consistent_loss


def tiny(**changes: object) -> NclConfig:
    values: dict[str, object] = {
        "backbone": "resnet18",
        "width": 8,
        "output_stride": 16,
        "aspp_channels": 8,
        "decoder_channels": 32,
        "geometry": "fit",
    }
    return NclConfig.from_dict({**values, **changes})


@pytest.mark.parametrize(
    ("backbone", "stride", "residual", "stem"),
    [("resnet18", 16, "srm", "deep"), ("resnet18", 8, "none", "conv7"), ("resnet50", 8, "srm", "conv7")],
)
def test_four_stages_and_patch_features(backbone: str, stride: int, residual: str, stem: str) -> None:
    config = tiny(output_stride=stride, backbone=backbone, residual=residual, stem=stem)
    network = NclNetwork(config).eval()
    pixels = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        output = network(pixels)
        encoded = network.backbone(network.prepare(pixels)).encoded
    assert [tuple(t.shape) for t in output.logits] == [(2, 1, 64 // s, 96 // s) for s in (8, 4, 2, 1)]
    assert output.patches.shape[2:] == (16, 24)
    assert encoded.shape[2:] == (64 // stride, 96 // stride)
    assert all(bool(torch.isfinite(t).all()) for t in output.logits)


def test_resnet101_of_the_paper_has_its_depth_and_stride() -> None:
    with torch.device("meta"):
        backbone = NclNetwork(NclConfig()).backbone
    assert [len(stage) for stage in (backbone.stage1, backbone.stage2, backbone.stage3, backbone.stage4)] == [
        3,
        4,
        23,
        3,
    ]
    assert backbone.channels == (64, 256, 512, 2048)
    dilations = [m.dilation[0] for m in backbone.stage4.modules() if getattr(m, "kernel_size", None) == (3, 3)]
    assert dilations == [4, 8, 16]


@pytest.mark.parametrize("shape", [(1, 3, 64, 65), (1, 1, 64, 64), (3, 64, 64)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"pixels must be|multiples of 32"):
        NclNetwork(tiny())(torch.zeros(shape))


def test_a_batch_of_one_can_be_trained() -> None:
    network = NclNetwork(tiny()).train()
    logits = network(torch.zeros(1, 3, 64, 64)).logits
    logits.stride1.sum().backward()
    assert all(p.grad is not None for n, p in network.named_parameters() if n.startswith("backbone"))


def test_residual_filters_ignore_flat_and_linear_pictures() -> None:
    filters = ResidualFilters()
    ramp = torch.arange(32.0).view(1, 1, 1, 32).expand(1, 3, 32, 32)
    maps = filters(ramp)
    assert maps.shape == (1, 9, 32, 32)
    assert maps[..., 2:-2, 2:-2].abs().max() < 1e-4
    spot = torch.zeros(1, 3, 9, 9)
    spot[..., 4, 4] = 255
    assert filters(spot).abs().max() == 2.0


def test_residual_filters_are_constants_of_the_code() -> None:
    assert not [name for name in NclNetwork(tiny(residual="srm")).state_dict() if "kernels" in name]


# --- config ---


def test_config_survives_json() -> None:
    config = tiny(residual="srm", mean=[0.4, 0.5, 0.6], score_top_fraction=0.05)
    assert NclConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["mean"] == [0.4, 0.5, 0.6]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", "vgg"),
        ("backbone", ["resnet18"]),
        ("output_stride", 4),
        ("output_stride", 8.0),
        ("width", 0),
        ("width", True),
        ("input_size", 3),
        ("input_size", "512"),
        ("mean", [1, 2]),
        ("mean", "abc"),
        ("std", [1, 0, 1]),
        ("std", [1, float("nan"), 1]),
        ("score_top_fraction", 0),
        ("score_top_fraction", "x"),
        ("colour", 1),
    ],
)
def test_a_bad_value_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        tiny(**{field: value})
    assert caught.value.field == field


def test_stretch_needs_a_size_the_network_can_halve() -> None:
    with pytest.raises(ConfigInvalid, match="multiple of 32"):
        NclConfig(geometry="stretch", input_size=500)
    assert NclConfig(geometry="fit", input_size=500).input_size == 500


@pytest.mark.parametrize("text", ["", "[]", "{", "3"])
def test_other_text_is_no_config(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        NclConfig.from_json(text)


# --- loss ---


def logits_of(value: torch.Tensor) -> object:
    from ncl_model.architecture.decoder import Logits

    return Logits(*(torch.nn.functional.avg_pool2d(value, s) for s in (8, 4, 2, 1)))


def test_contour_is_the_cells_that_hold_both() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 6:16, 8:16] = 1  # rows cut a cell of 4, columns do not
    edge = contour(mask, 1)
    assert edge.shape == mask.shape
    assert edge.sum() == 4 * 8
    assert edge[0, 0, 4:8, 8:16].min() == 1
    assert contour(mask, 8).shape == (1, 1, 4, 4)


def test_plain_bce_without_contour() -> None:
    value = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 32, 32)
    logits = logits_of(value)
    expected = sum(torch.nn.functional.softplus(stage).mean() for stage in logits)  # type: ignore[attr-defined]
    torch.testing.assert_close(pivot_consistent_loss(logits, mask, mu=0.9), expected)  # type: ignore[arg-type]


def test_mu_moves_weight_to_the_contour() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 6:18, 6:18] = 1
    wrong_at_edge = torch.where(contour(mask, 1) > 0, 4.0, -4.0) * torch.where(mask > 0, -1.0, 1.0)
    low = pivot_consistent_loss(logits_of(wrong_at_edge), mask, mu=0.0)  # type: ignore[arg-type]
    high = pivot_consistent_loss(logits_of(wrong_at_edge), mask, mu=0.8)  # type: ignore[arg-type]
    assert high > low
    assert high.dtype == torch.float32


def test_the_loss_of_half_precision_logits_is_float32_and_finite() -> None:
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 3:9, 3:9] = 1
    logits = logits_of(torch.full((2, 1, 32, 32), 80.0, dtype=torch.bfloat16))
    loss = pivot_consistent_loss(logits, mask, mu=0.3)  # type: ignore[arg-type]
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
