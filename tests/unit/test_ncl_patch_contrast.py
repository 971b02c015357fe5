"""The contrast of one level of patches, projected and centred, against loops; and how far it is from chance."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from support.slow_ncl import class_term, patches_by_kind, pivot_terms
from torch import Tensor

from ncl_model.losses.objective import LossConfig, Objective
from ncl_model.losses.patch_contrast import Contrasted, PatchContrast
from ncl_model.losses.patches import Kind, label_patches

SIDE, CHANNELS = 64, 6
ARMS = ["classes", "pivot"]


def alone(count: Tensor) -> Tensor:
    return count


def mask_of(images: int = 3) -> Tensor:
    """Rectangles that cut cells of 4 and of 8; the last image is authentic."""
    mask = torch.zeros(images, 1, SIDE, SIDE)
    mask[0, :, 10:45, 6:41] = 1
    mask[1, :, 3:61, 18:50] = 1
    return mask


def features_of(cell: int, images: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    """Positive, like features after a ReLU: all of them point into one corner."""
    generator = torch.Generator().manual_seed(cell)
    return torch.rand(images, CHANNELS, SIDE // cell, SIDE // cell, generator=generator, dtype=dtype) + 0.5


def level_of(seed: int = 0, **changes: object) -> PatchContrast:
    torch.manual_seed(seed)
    return PatchContrast(LossConfig(**changes), CHANNELS)  # type: ignore[arg-type]


def compared(level: PatchContrast, features: Tensor) -> Tensor:
    """What the loss compares, patch by patch and channel by channel."""
    level.requires_grad_(False)
    if level.projection is not None:
        weight, bias = level.projection.weight[:, :, 0, 0], level.projection.bias
        assert bias is not None
        rows = [[weight @ column + bias for column in row] for row in features.permute(0, 2, 3, 1).flatten(0, 1)]
        projected = torch.stack([torch.stack(row) for row in rows]).view(*features.shape[:1], *features.shape[2:], -1)
        features = projected.permute(0, 3, 1, 2)
    if level.config.centred:
        means = [[float(channel.sum() / channel.numel()) for channel in image] for image in features]
        features = features - torch.tensor(means, dtype=features.dtype)[:, :, None, None]
    return features


def reference(
    level: PatchContrast, features: Tensor, mask: Tensor, cell: int, authentic_limit: int
) -> tuple[float, float]:
    """The loss and its first term against chance, by loops over patches."""
    ready, tau = compared(level, features), level.config.tau
    pivots = None if level.pivot is None else level.pivot(ready, label_patches(mask, cell) == Kind.CONTOUR)
    losses, ratios = [], []
    for image in range(len(features)):
        tampered, authentic, contour = patches_by_kind(ready[image], mask[image, 0], cell)
        if min(map(len, [tampered, authentic] + ([contour] if pivots else []))) < 4:
            continue
        first = loss = class_term(tampered, authentic, tau)
        if pivots is not None:
            plus, minus = ([float(v) for v in role[image].detach()] for role in pivots)
            loss += pivot_terms(plus, minus, tampered, authentic, tau)
        losses.append(loss)
        ratios.append(first / math.log(1 + min(len(authentic), authentic_limit)))
    return sum(losses) / len(losses), sum(ratios) / len(ratios)


@pytest.mark.parametrize("cell", [4, 8])
@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(("projection", "centred"), [(0, False), (5, False), (0, True), (5, True)])
def test_every_level_is_its_definition(cell: int, arm: str, projection: int, centred: bool) -> None:
    level = level_of(contrast=arm, projection=projection, centred=centred)
    features, mask = features_of(cell), mask_of()
    found = level(features, mask, alone)
    assert found.loss.requires_grad == (projection > 0 or arm == "pivot")
    assert not found.against_chance.requires_grad
    loss, ratio = reference(level, features, mask, cell, level.config.authentic_patches)
    assert float(found.loss.detach()) == pytest.approx(loss, rel=2e-5)
    assert float(found.against_chance) == pytest.approx(ratio, rel=2e-5)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_finer_features_are_averaged_to_patches(cell: int) -> None:
    level = level_of(contrast="classes", projection=5, centred=True)
    features = features_of(cell)
    pooled = torch.nn.functional.avg_pool2d(features, 4 // cell)
    assert float(level(features, mask_of(), alone).loss.detach()) == pytest.approx(
        float(level(pooled, mask_of(), alone).loss.detach()), rel=1e-6
    )


@pytest.mark.parametrize("cell", [4, 8])
@pytest.mark.parametrize("arm", ARMS)
def test_gradients_are_the_derivatives(cell: int, arm: str) -> None:
    level = level_of(contrast=arm, projection=4, centred=True, tampered_patches=6, authentic_patches=9).double()
    mask = mask_of(2).double()
    features = features_of(cell, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: level(f, mask, alone).loss, (features,), fast_mode=True)
    level(features, mask, alone).loss.backward()
    for name, parameter in level.named_parameters():
        assert parameter.grad is not None, name
        # a bias moves all patches alike, and centring takes that off again
        assert bool(parameter.grad.abs().sum() > 1e-9) == (name != "projection.bias"), name


@pytest.mark.parametrize("projection", [0, 4])
@pytest.mark.parametrize("centred", [False, True])
def test_features_that_say_nothing_are_at_chance(projection: int, centred: bool) -> None:
    level = level_of(contrast="classes", projection=projection, centred=centred)
    constant = torch.full((3, CHANNELS, 16, 16), 0.7)
    assert float(level(constant, mask_of(), alone).against_chance) == pytest.approx(1.0, abs=1e-4)


def separated(gap: float, cell: int = 4) -> Contrasted:
    kinds = label_patches(mask_of(), cell)
    towards = torch.zeros(1, CHANNELS, 1, 1)
    towards[0, 0] = 1
    features = features_of(cell) + gap * towards * (kinds == Kind.TAMPERED).unsqueeze(1)
    return level_of(contrast="classes", centred=True)(features, mask_of(), alone)  # type: ignore[no-any-return]


def test_it_falls_as_the_classes_separate() -> None:
    ratios = [float(separated(gap).against_chance) for gap in (0.0, 0.3, 1.0, 4.0)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 0.9
    assert ratios[-1] < 0.4


def test_centring_shows_what_a_common_direction_hides() -> None:
    """After a ReLU every cosine is near 1, and the contrast of the paper idles where a centred one does not."""
    kinds = label_patches(mask_of(), 4)
    features = torch.full((3, CHANNELS, 16, 16), 3.0)
    features[:, 0] += 0.3 * (kinds == Kind.TAMPERED)
    plain, centred = (
        float(level_of(contrast="classes", centred=c)(features, mask_of(), alone).against_chance) for c in (False, True)
    )
    assert plain > 0.99
    assert centred < 0.2


def test_a_batch_without_enough_patches_costs_nothing_and_is_at_chance() -> None:
    level = level_of(projection=4)
    features = features_of(4).requires_grad_()
    found = level(features, torch.zeros(3, 1, SIDE, SIDE), alone)
    assert (float(found.loss.detach()), float(found.against_chance)) == (0.0, 1.0)
    found.loss.backward()
    assert features.grad is not None
    assert not features.grad.any()
    assert level.projection is not None
    for parameter in level.projection.parameters():
        assert parameter.grad is not None, "it takes part, or other workers would wait for its gradient"
        assert not parameter.grad.any()


def test_the_mean_is_over_the_images_of_all_workers() -> None:
    level = level_of(contrast="classes")
    features, mask = features_of(4), mask_of()
    once, shared = (float(level(features, mask, average).loss.detach()) for average in (alone, lambda count: 2 * count))
    assert shared == pytest.approx(once / 2)


def test_one_network_has_one_level_of_its_own_and_none_without_contrast() -> None:
    assert len(Objective(LossConfig(), 5, 7).levels) == 2
    assert not list(Objective(LossConfig(contrast="none"), 5, 7).parameters())
    names = {name.split(".")[2] for name, _ in Objective(LossConfig(projection=4), 5).named_parameters()}
    assert names == {"projection", "pivot"}
    paper = dataclasses.replace(LossConfig(), contrast="pivot")
    assert {name.split(".")[2] for name, _ in Objective(paper, 5).named_parameters()} == {"pivot"}
