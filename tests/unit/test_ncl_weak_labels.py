"""Labels without masks, and scribbles: the losses against a slow, obvious reference, and what they teach."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.slow_ncl import class_term, disagreement, patches_by_kind, pivot_consistent, pooled_label
from support.training_material import TINY, TINY_EXPERTS, Pictures, forged, photo, recipe
from torch import Tensor

from ncl_model.architecture.network import NclOutput
from ncl_model.errors import ConfigInvalid
from ncl_model.losses.objective import LossConfig, Objective
from ncl_model.losses.patch_contrast import PatchContrast
from ncl_model.losses.pivot_consistent import pivot_consistent_loss
from ncl_model.losses.truth import Truth
from ncl_model.losses.weak_labels import pooled_label_loss, ramp, view_consistency
from ncl_model.training.batches import make_batch
from ncl_model.training.samples import make_sample
from ncl_model.training.trainer import Trainer
from ncl_model.truth_maps import AUTHENTIC, TAMPERED, UNKNOWN, label_of, truth_map

SIDE = 32
STRIDES = (8, 4, 2, 1)


def alone(count: Tensor) -> Tensor:
    return count


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def scribbled(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Masks and where they are known, (2, 1, 32, 32): strokes on the edit and beside it; the second image is whole."""
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[0, :, 4:20, 6:26] = 1
    mask[1, :, 3:25, 5:20] = 1
    known = torch.zeros(2, 1, SIDE, SIDE)
    known[0, :, 8:17, 8:22] = 1
    known[0, :, 22:31, 1:30] = 1
    known[0, 0, 20, int(seed)] = 1
    known[1] = 1
    return mask, known


def truth_of(labels: list[int], views: list[int]) -> Truth:
    """Nothing but labels."""
    unknown = torch.full((len(labels), 1, SIDE, SIDE), UNKNOWN, dtype=torch.uint8)
    return Truth.of_maps(unknown, torch.tensor(labels), torch.tensor(views, dtype=torch.int64))


# --- scribbles ---


@pytest.mark.parametrize("mu", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_the_pivot_consistent_loss_passes_over_what_nobody_knows(mu: float, seed: int) -> None:
    mask, known = scribbled(seed)
    logits = [drawn(2, 1, SIDE // s, SIDE // s, seed=seed + s) * 2 for s in STRIDES]
    found = float(pivot_consistent_loss(logits, mask, known=known, mu=mu))
    assert found == pytest.approx(pivot_consistent(logits, mask, mu, known), rel=1e-5)
    assert abs(found - float(pivot_consistent_loss(logits, mask, mu=mu))) > 1e-3
    other = torch.where(known > 0, mask, 1 - mask)  # whatever stands there
    assert float(pivot_consistent_loss(logits, other, known=known, mu=mu)) == pytest.approx(found, rel=1e-6)


def test_where_all_is_known_nothing_changes() -> None:
    mask, _ = scribbled()
    logits = [drawn(2, 1, SIDE // s, SIDE // s, seed=s) for s in STRIDES]
    whole = pivot_consistent_loss(logits, mask, mu=0.4)
    assert torch.equal(pivot_consistent_loss(logits, mask, known=torch.ones_like(mask), mu=0.4), whole)
    nothing = pivot_consistent_loss(logits, mask, known=torch.zeros_like(mask), mu=0.4)
    assert float(nothing) == 0.0


def test_unknown_pixels_get_no_gradient() -> None:
    mask, known = scribbled()
    logits = [drawn(2, 1, SIDE, SIDE).requires_grad_()]
    pivot_consistent_loss(logits, mask, known=known, mu=0.3).backward()
    assert logits[0].grad is not None
    assert not logits[0].grad[known == 0].any()
    assert (logits[0].grad[known == 1] != 0).all()


def test_the_contrast_is_among_known_patches() -> None:
    """Strokes show no contour: their image takes part with the first term alone."""
    mask, known = scribbled()
    torch.manual_seed(1)
    level = PatchContrast(LossConfig(contrast="pivot"), 5)
    features = drawn(1, 5, SIDE // 4, SIDE // 4)
    found = level(features, mask[:1], alone, known[:1])
    tampered, authentic, contour = patches_by_kind(features[0], mask[0, 0], 4, known[0, 0])
    assert (len(tampered) >= 4, len(authentic) >= 4, len(contour)) == (True, True, 0)
    assert float(found.loss.detach()) == pytest.approx(class_term(tampered, authentic, 0.1), rel=1e-5)
    assert float(level(features, mask[:1], alone, torch.zeros_like(known[:1])).loss.detach()) == 0.0


def test_a_square_between_the_strokes_has_no_label() -> None:
    """Its image head learns nothing: the edit may be there, unmarked."""
    assert label_of(np.full((4, 4), UNKNOWN, np.uint8)) == -1
    assert label_of(np.array([[AUTHENTIC, UNKNOWN]], np.uint8)) == -1
    assert label_of(np.array([[TAMPERED, UNKNOWN]], np.uint8)) == 1
    assert label_of(np.zeros((4, 4), np.uint8)) == 0
    objective = Objective(LossConfig(contrast="none", image_weight=1.0))
    for label, learns in ((1, True), (0, True), (-1, False)):
        head = torch.zeros(1, requires_grad=True)
        output = NclOutput((drawn(1, 1, SIDE, SIDE),), drawn(1, 5, 8, 8), head)
        objective(output, truth_of([label], []), step=1).total.backward()
        assert head.grad is not None
        assert bool(head.grad.any()) == learns


def test_a_scribbled_photograph_stays_one_through_turns_laundering_and_crops() -> None:
    pixels, mask = forged(1, 120, 160)
    known = np.zeros_like(mask)
    known[:, ::3] = True  # every third column
    material = Pictures(tampered=[(pixels, truth_map(mask, known))])  # type: ignore[list-item]
    shares = []
    for seed in range(12):
        sample = make_sample(material, recipe(people=1, synthetic=0, laundered=0.5), np.random.default_rng(seed))
        assert set(np.unique(sample.truth)) <= {AUTHENTIC, TAMPERED, UNKNOWN}
        shares.append(float((sample.truth == UNKNOWN).mean()))
        assert sample.label == 1
    assert 0.5 < float(np.mean(shares)) < 0.8


# --- labels alone ---


def test_the_label_holds_for_the_highest_hundredth_of_the_map() -> None:
    logits = drawn(4, 1, SIDE, SIDE) * 2
    truth = truth_of([1, 1, -1, 0], [])
    wanted = [pooled_label(logits[i, 0]) for i in (0, 1)]
    assert float(pooled_label_loss(logits, truth, alone)) == pytest.approx(sum(wanted) / 2, rel=1e-5)
    assert float(pooled_label_loss(logits, truth_of([-1] * 4, []), alone)) == 0.0


def test_images_with_masks_take_no_part_in_it() -> None:
    mask, known = scribbled()
    logits = drawn(2, 1, SIDE, SIDE)
    views = torch.zeros(0, dtype=torch.int64)
    assert float(pooled_label_loss(logits, Truth(mask, known, torch.ones(2), views), alone)) == 0.0
    assert float(pooled_label_loss(logits, Truth.everywhere(mask), alone)) == 0.0


def test_two_views_are_compared_where_they_show_the_same() -> None:
    logits = drawn(5, 1, SIDE, SIDE) * 2
    truth = truth_of([1] * 5, [2, 0])
    wanted = [disagreement(logits[2, 0], logits[3, 0]), disagreement(logits[0, 0], logits[4, 0])]
    assert float(view_consistency(logits, truth, alone)) == pytest.approx(sum(wanted) / 2, rel=1e-5)
    same = torch.cat([logits[:1], logits[:1].flip(3)])
    assert float(view_consistency(same, truth_of([1, 1], [0]), alone)) == 0.0
    assert float(view_consistency(logits, truth_of([1] * 5, []), alone)) == 0.0


def test_their_gradients_are_right() -> None:
    logits = drawn(3, 1, 8, 8, dtype=torch.float64).requires_grad_()
    truth = truth_of([1, 1, 1], [1])
    assert torch.autograd.gradcheck(lambda x: pooled_label_loss(x, truth, alone), (logits,))
    assert torch.autograd.gradcheck(lambda x: view_consistency(x, truth, alone), (logits,))
    mask, known = (each.double() for each in scribbled())
    stages = tuple(drawn(2, 1, SIDE // s, SIDE // s, seed=s, dtype=torch.float64).requires_grad_() for s in (8, 4))
    assert torch.autograd.gradcheck(lambda *x: pivot_consistent_loss(x, mask, known=known, mu=0.3), stages)


def test_agreement_counts_more_the_longer_the_run_goes_on() -> None:
    weights = [ramp(step, 100) for step in range(0, 120, 10)]
    assert weights == sorted(weights)
    assert (weights[0], weights[-1]) == (pytest.approx(math.exp(-5)), 1.0)
    assert ramp(0, 0) == 1.0


@pytest.mark.parametrize("field", ["label_weight", "consistency_weight", "consistency_steps"])
def test_weights_of_the_weak_losses_are_checked(field: str) -> None:
    with pytest.raises(ConfigInvalid, match=field):
        LossConfig(**{field: -1})


# --- how they are drawn ---


def framed(seed: int) -> np.ndarray:
    """A photograph whose left half is dark: a mirrored one is known by it."""
    pixels = photo(seed, 90, 150) // 4 + 150
    pixels[:, :75] //= 4
    return pixels.astype(np.uint8)


@pytest.mark.parametrize("network", [TINY, TINY_EXPERTS], ids=["single", "experts"])
def test_both_views_are_of_the_whole_photograph_and_the_second_is_mirrored(network: object) -> None:
    ours = recipe(network=network, people=0, synthetic=0, weak=1)
    material = Pictures(unmasked=[framed(1)], authentic=[framed(3)])
    seen: dict[int, int] = {}
    for seed in range(12):
        sample = make_sample(material, ours, np.random.default_rng(seed))
        assert sample.second is not None
        seen[sample.label] = seen.get(sample.label, 0) + 1
        assert (sample.truth == (UNKNOWN if sample.label else AUTHENTIC)).all()
        first, second = sample.view.pixels.mean((0, 2)), sample.second.pixels.mean((0, 2))
        assert first[:30].mean() + 60 < first[34:].mean()
        assert second[34:].mean() + 60 < second[:30].mean()
        assert not np.array_equal(sample.view.pixels[:, ::-1], sample.second.pixels), "saved in ways of their own"
    assert min(seen[0], seen[1]) > 2, "being seen as a whole says nothing"


def test_a_batch_has_second_views_behind_its_photographs() -> None:
    ours = recipe(batch_size=12, people=0.4, synthetic=0, weak=0.4, grad_accum_steps=3, seed=3)
    batch = make_batch(Pictures(unmasked=[framed(2)]), ours, 0)
    weak = batch.views.tolist()
    assert 1 < len(weak) < 12
    assert {row for row in range(12) if (batch.truth[row] == UNKNOWN).all()} < set(weak)
    assert len(batch.pixels) == len(batch.labels) == len(batch.truth) == 12 + len(weak)
    parts = batch.parts(3)
    assert [len(part.pixels) - len(part.views) for part in parts] == [4, 4, 4]
    assert sum(len(part.views) for part in parts) == len(weak)
    for number, part in enumerate(parts):
        for place, row in enumerate(part.views.tolist()):
            second = weak.index(4 * number + row)
            assert torch.equal(part.pixels[row], batch.pixels[4 * number + row])
            assert torch.equal(part.pixels[4 + place], batch.pixels[12 + second])


def test_without_such_photographs_authentic_ones_are_drawn() -> None:
    batch = make_batch(Pictures(), recipe(batch_size=8, people=0, synthetic=0, weak=1), 0)
    assert (len(batch.pixels), len(batch.views)) == (8, 0)
    assert not batch.truth.any()


def test_shares_add_up_to_one_at_most() -> None:
    with pytest.raises(ConfigInvalid, match="people, synthetic and weak are shares"):
        recipe(people=0.5, synthetic=0.3, weak=0.3)


def test_labels_alone_tell_tampered_photographs_from_authentic_ones() -> None:
    """No mask in sight: 100 steps on photographs with noisy rectangles, called tampered, beside untouched ones."""
    material = Pictures(tampered=[], unmasked=[forged(i, 64, 64)[0] for i in range(6)], shapes=[])
    network = type(TINY)(**{**TINY.to_dict(), "width": 16, "aspp_channels": 16, "decoder_channels": 32, "stem": "deep"})
    ours = recipe(
        network=network, people=0, synthetic=0, weak=0.8, laundered=0, steps=100, batch_size=8, learning_rate=5e-3,
        loss=LossConfig(mu=0.3, contrast="none", label_weight=1.0, consistency_steps=20), seed=2, ema_decay=0.8,
    )  # fmt: skip
    trainer = Trainer(ours)
    while not trainer.finished:
        trainer.train_step(make_batch(material, ours, trainer.step))
    means = trainer.totals.means(trainer.group)
    assert means.losses["weak"] > 0
    network_ = trainer.checkpoint({}, {}).build()

    def scores(photos: list[np.ndarray]) -> Tensor:
        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)
            logits: Tensor = network_(pixels).logits[-1]
            return logits.flatten(1).topk(10).values.mean(1)

    tampered = scores([forged(i, 64, 64)[0] for i in range(6)])
    authentic = scores([photo(50 + i, 64, 64) for i in range(4)])
    assert float((tampered[:, None] > authentic).float().mean()) > 0.9


def test_a_run_of_before_goes_on(tmp_path: object) -> None:
    """Its recipe has no word of labels: those are the same loss as long as none is drawn."""
    trainer = Trainer(recipe())
    state = trainer.state()
    for name in ("label_weight", "consistency_weight", "consistency_steps"):
        del state["recipe"]["loss"][name]
    del state["recipe"]["weak"]
    Trainer(recipe()).load_state(state, tmp_path)
