"""The losses against a slow, obvious reference, their gradients, and what they reward."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from support.slow_ncl import class_term, patches_by_kind, pivot_consistent, pivot_terms
from support.training_material import TINY
from torch import Tensor

from ncl_model.architecture.backbone import Backbone
from ncl_model.architecture.decoder import Logits
from ncl_model.architecture.network import NclNetwork, NclOutput
from ncl_model.errors import ConfigInvalid
from ncl_model.losses.contrast import class_contrast, enough, pivot_contrast
from ncl_model.losses.objective import LossConfig, Objective
from ncl_model.losses.patch_contrast import PatchContrast
from ncl_model.losses.patches import Kind, choose, label_patches
from ncl_model.losses.pivot import PivotNetwork, Pivots
from ncl_model.losses.pivot_consistent import pivot_consistent_loss

SIDE = 32
CHANNELS = 5


def masks(kind: str, images: int = 2, seed: int = 0) -> Tensor:
    """(B, 1, 32, 32) in {0, 1}."""
    mask = torch.zeros(images, 1, SIDE, SIDE)
    if kind == "all tampered":
        mask += 1
    elif kind == "no contour":
        mask[:, :, 8:24, 8:24] = 1
    elif kind == "one cell":
        mask[:, :, 12:16, 12:16] = 1
    elif kind == "random":
        generator = torch.Generator().manual_seed(seed)
        for image in range(images):
            top, left, height, width = (int(torch.randint(2, 10, (), generator=generator)) for _ in range(4))
            mask[image, :, top : top + height + 11, left : left + width + 11] = 1
    else:
        assert kind == "authentic"
    return mask


KINDS = ["random", "no contour", "all tampered", "authentic", "one cell"]


def logits_of(size: int, images: int = 2, dtype: torch.dtype = torch.float32, seed: int = 1) -> Logits:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(images, 1, size // s, size // s) for s in (8, 4, 2, 1)]
    return Logits(*(2 * torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes))


def features_of(images: int = 2, dtype: torch.dtype = torch.float32, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, CHANNELS, SIDE // 4, SIDE // 4, generator=generator, dtype=dtype)


def pivot_of(objective: Objective) -> PivotNetwork | None:
    """The pivot network of its only level."""
    (level,) = objective.levels
    assert isinstance(level, PatchContrast)
    return level.pivot


def reference_contrast(objective: Objective, features: Tensor, mask: Tensor, *, with_pivot: bool) -> float:
    """L_NCL of a batch by loops; the pivots themselves come from the pivot network."""
    network = pivot_of(objective)
    pivots = network(features, label_patches(mask, 4) == Kind.CONTOUR) if network else None
    losses = []
    for image in range(len(features)):
        tampered, authentic, contour = patches_by_kind(features[image], mask[image, 0], 4)
        kinds = [tampered, authentic, contour] if with_pivot else [tampered, authentic]
        if min(map(len, kinds)) < 4:
            continue
        loss = class_term(tampered, authentic, 0.1)
        if with_pivot and pivots is not None:
            vectors = [[float(v) for v in pivot[image].detach()] for pivot in pivots]
            loss += pivot_terms(vectors[0], vectors[1], tampered, authentic, 0.1)
        losses.append(loss)
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mu", [0.0, 0.3, 0.8])
def test_the_pivot_consistent_loss_is_its_definition(kind: str, mu: float) -> None:
    mask, logits = masks(kind), logits_of(SIDE)
    assert float(pivot_consistent_loss(logits, mask, mu=mu)) == pytest.approx(
        pivot_consistent(logits, mask, mu), rel=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arm", ["classes", "pivot"])
@pytest.mark.parametrize("seed", range(4))
def test_the_contrastive_loss_is_its_definition(kind: str, arm: str, seed: int) -> None:
    torch.manual_seed(seed)
    objective = Objective(LossConfig(contrast=arm, tau=0.1), CHANNELS)  # type: ignore[arg-type]
    mask, features = masks(kind, images=3, seed=seed), features_of(3, seed=seed)
    parts = objective(NclOutput(logits_of(SIDE, 3), features), mask, step=10**6)
    expected = reference_contrast(objective, features, mask, with_pivot=arm == "pivot")
    if kind == "random":
        assert expected > 0, "the random masks must give every kind of patch"
    assert float(parts.contrast) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_total_is_the_sum_of_its_parts_and_omega_grows_from_zero() -> None:
    torch.manual_seed(0)
    config = LossConfig(omega=0.2, warmup_steps=100, image_weight=0.5)
    objective = Objective(config, CHANNELS)
    output = NclOutput(logits_of(SIDE), features_of(), torch.tensor([0.3, -1.0]))
    for step, warm in ((0, 0.0), (25, 0.25), (100, 1.0), (5000, 1.0)):
        parts = objective(output, masks("random"), step=step)
        expected = parts.pivot_consistent + 0.2 * warm * parts.contrast + 0.5 * parts.image
        assert parts.total.item() == pytest.approx(float(expected), rel=1e-6)
        assert float(parts.contrast) > 0


def test_the_last_stage_alone_is_one_of_the_four() -> None:
    mask, logits = masks("random"), logits_of(SIDE)
    quiet = Logits(*(torch.full_like(x, 30.0) * (2 * (y > 0).float() - 1) for x, y in zip(logits, logits, strict=True)))
    last = pivot_consistent_loss(Logits(*quiet[:3], logits.stride1), mask, mu=0.5, last_only=True)
    assert float(last) == pytest.approx(float(pivot_consistent_loss(logits, mask, mu=0.5, last_only=True)))
    assert float(last) < float(pivot_consistent_loss(logits, mask, mu=0.5))


def test_gradients_are_the_derivatives() -> None:
    mask = masks("random").double()
    logits = [x.requires_grad_() for x in logits_of(SIDE, dtype=torch.float64)]
    assert torch.autograd.gradcheck(lambda *x: pivot_consistent_loss(Logits(*x), mask, mu=0.8), logits)
    features = features_of(dtype=torch.float64).requires_grad_()
    pivots = [torch.randn(2, CHANNELS, dtype=torch.float64).requires_grad_() for _ in range(2)]
    kinds = label_patches(mask, 4)

    def contrast(f: Tensor, plus: Tensor, minus: Tensor) -> Tensor:
        p, n = choose(f, kinds == Kind.TAMPERED, 6), choose(f, kinds == Kind.AUTHENTIC, 9)
        return class_contrast(p, n, tau=0.3) + pivot_contrast(Pivots(plus, minus), p, n, tau=0.3)

    assert torch.autograd.gradcheck(contrast, (features, *pivots))
    network = PivotNetwork(CHANNELS).double()
    assert torch.autograd.gradcheck(lambda f: network(f, kinds == Kind.CONTOUR), (features,))


def separated(gap: float) -> tuple[NclOutput, Tensor]:
    """Features whose tampered and authentic patches point ``gap`` apart."""
    mask = masks("random", seed=3)
    kinds = label_patches(mask, 4)
    towards = torch.tensor([1.0, 0, 0, 0, 0]).view(1, -1, 1, 1)
    side = (kinds == Kind.TAMPERED).float() - (kinds == Kind.AUTHENTIC).float()
    return NclOutput(logits_of(SIDE), features_of() + gap * towards * side.unsqueeze(1)), mask


@pytest.mark.parametrize("arm", ["classes", "pivot"])
def test_the_contrast_falls_as_the_classes_separate(arm: str) -> None:
    torch.manual_seed(0)
    objective = Objective(LossConfig(contrast=arm), CHANNELS)  # type: ignore[arg-type]
    losses = []
    for gap in (0.0, 1.0, 2.0, 4.0):
        output, mask = separated(gap)
        losses.append(float(objective(output, mask, step=1).contrast))
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 1


def test_both_roles_of_the_pivot_learn_and_the_features_too() -> None:
    torch.manual_seed(0)
    objective = Objective(LossConfig(warmup_steps=0), CHANNELS)
    features = features_of().requires_grad_()
    objective(NclOutput(logits_of(SIDE), features), masks("random"), step=0).total.backward()  # type: ignore[no-untyped-call]
    network = pivot_of(objective)
    assert network is not None
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().sum()) > 0, name
    # contour patches reach the loss through the pivot alone: without it their gradient is zero
    contour = label_patches(masks("random"), 4) == Kind.CONTOUR
    assert features.grad is not None
    assert float(features.grad.transpose(0, 1)[:, contour].abs().sum()) > 0
    plain = features_of().requires_grad_()
    without = Objective(LossConfig(contrast="classes", warmup_steps=0), CHANNELS)
    without(NclOutput(logits_of(SIDE), plain), masks("random"), step=0).total.backward()  # type: ignore[no-untyped-call]
    assert plain.grad is not None
    assert float(plain.grad.transpose(0, 1)[:, contour].abs().sum()) == 0


def test_training_the_pivot_lowers_its_own_loss() -> None:
    torch.manual_seed(0)
    objective = Objective(LossConfig(omega=1.0, warmup_steps=0), CHANNELS)
    output, mask = separated(1.0)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.02)
    first = float(objective(output, mask, step=0).contrast)
    for _ in range(60):
        optimizer.zero_grad()
        objective(output, mask, step=0).total.backward()
        optimizer.step()
    assert float(objective(output, mask, step=0).contrast) < first - 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_nan_in_bfloat16(kind: str) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, head="pooled", compression="dct")
    network = NclNetwork(config).train()
    objective = Objective(LossConfig(warmup_steps=0), Backbone(config).channels[1])
    mask = torch.nn.functional.interpolate(masks(kind), scale_factor=2)
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        parts = objective(network(pixels), mask, step=0)
    assert parts.total.dtype == torch.float32
    assert all(torch.isfinite(part) for part in parts)
    parts.total.backward()
    for parameter in [*network.parameters(), *objective.parameters()]:
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_patches_are_named_by_what_they_hold() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4, :4] = 1
    mask[..., 0, 4] = 1
    expected = [[Kind.TAMPERED, Kind.CONTOUR], [Kind.AUTHENTIC, Kind.AUTHENTIC]]
    assert label_patches(mask, 4)[0].tolist() == expected
    assert label_patches(mask, 8)[0].tolist() == [[Kind.CONTOUR]]


def test_the_choice_is_even_complete_and_only_of_members() -> None:
    features = torch.arange(2 * 64, dtype=torch.float32).view(2, 1, 8, 8)
    members = torch.zeros(2, 8, 8, dtype=torch.bool)
    members[0, :, :5] = True
    members[1, 3, 3] = True
    few = choose(features, members, 10)
    assert few.valid.sum(1).tolist() == [10, 1]
    chosen = few.features[0, :, 0].long().tolist()
    assert len(set(chosen)) == 10
    assert all(members[0].flatten()[c] for c in chosen)
    assert max(chosen) > 50, "spread over the whole image"
    assert float(few.features[1, 0, 0]) == 64 + 27
    everything = choose(features, members, 1000)
    assert everything.features[0, :40, 0].long().tolist() == members[0].flatten().nonzero().flatten().tolist()


def test_an_image_takes_part_with_four_patches_of_each_kind() -> None:
    some = torch.zeros(3, 2, 4, dtype=torch.bool)
    some[0, 0, :4] = True
    some[1, 0, :3] = True
    assert enough(some, ~some).tolist() == [True, False, False]


def test_larger_patches_take_the_mean_of_their_features() -> None:
    torch.manual_seed(0)
    objective = Objective(LossConfig(contrast="classes", patch=8), CHANNELS)
    features, mask = features_of(), masks("no contour")
    parts = objective(NclOutput(logits_of(SIDE), features), mask, step=1)
    pooled = torch.nn.functional.avg_pool2d(features, 2)
    losses = []
    for image in range(2):
        tampered, authentic, _ = patches_by_kind(pooled[image], mask[image, 0], 8)
        losses.append(class_term(tampered, authentic, 0.1))
    assert float(parts.contrast) == pytest.approx(sum(losses) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field.name, value)
        for field in dataclasses.fields(LossConfig)
        for value in (-1, "many", True, None)
        if (field.name, value) != ("centred", True)
    ],
)
def test_a_senseless_loss_config_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ConfigInvalid, match=field):
        LossConfig(**{field: value})
