"""Steps of the trainer: what they change, what they leave alone, and that a resume is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.training_material import TINY, TINY_EXPERTS, Pictures, forged, recipe
from torch import Tensor

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import CheckpointMismatch, ConfigInvalid, TrainingDiverged
from ncl_model.inference.checkpoint import save_checkpoint
from ncl_model.losses.objective import LossConfig
from ncl_model.metrics import pixel_f1
from ncl_model.training.batches import Batch, make_batch
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.trainer import Trainer


def snapshot(trainer: Trainer) -> dict[str, Tensor]:
    """Everything that steps change."""
    state = trainer.state()
    tensors = {f"module.{n}": t.clone() for n, t in state["module"].items()}
    tensors |= {f"average.{n}": t.clone() for n, t in state["average"].items()}
    for index, values in state["optimizer"]["state"].items():
        tensors |= {f"optimizer.{index}.{n}": t.clone() for n, t in values.items() if isinstance(t, Tensor)}
    return tensors


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def run(trainer: Trainer, steps: int, material: Pictures) -> None:
    for _ in range(steps):
        batch = make_batch(material, trainer.recipe, trainer.step)
        trainer.train_step(batch)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_interrupted_and_resumed_is_unbroken_bit_for_bit(tmp_path: Path, precision: str, optimizer: str) -> None:
    ours, material = recipe(precision=precision, optimizer=optimizer), Pictures()
    unbroken = Trainer(ours)
    run(unbroken, 6, material)
    first = Trainer(ours)
    run(first, 3, material)
    torch.save(first.state(), tmp_path / "state.pt")
    torch.rand(7)  # whatever else the process draws
    second = Trainer(ours)
    second.load_state(torch.load(tmp_path / "state.pt", weights_only=True), "state.pt")
    assert second.step == 3
    run(second, 3, material)
    assert_equal(snapshot(unbroken), snapshot(second))


def test_experts_are_resumed_bit_for_bit(tmp_path: Path) -> None:
    """Their batches carry grids; projection and centring belong to the state."""
    loss = LossConfig(mu=0.3, warmup_steps=2, projection=6, centred=True)
    ours, material = recipe(network=TINY_EXPERTS, loss=loss), Pictures()
    unbroken = Trainer(ours)
    run(unbroken, 4, material)
    first = Trainer(ours)
    run(first, 2, material)
    torch.save(first.state(), tmp_path / "state.pt")
    second = Trainer(ours)
    second.load_state(torch.load(tmp_path / "state.pt", weights_only=True), "state.pt")
    run(second, 2, material)
    assert_equal(snapshot(unbroken), snapshot(second))
    assert any("projection" in name for name in snapshot(second))
    assert second.totals.means(second.group).losses["against_chance"] > 0


def test_grids_go_with_their_part_of_the_batch() -> None:
    """Accumulated in two halves: each image is read on its own grids."""
    material, loss = Pictures(), LossConfig(mu=0.0, contrast="none")
    batch = make_batch(material, recipe(network=TINY_EXPERTS), 0)
    assert batch.grids is not None
    swapped = batch.grids.flip(0)
    grads = []
    for accumulate, grids in ((1, batch.grids), (2, batch.grids), (2, swapped)):
        trainer = Trainer(recipe(network=TINY_EXPERTS, grad_accum_steps=accumulate, loss=loss))
        trainer._module.eval()
        trainer.optimizer.zero_grad()
        trainer._accumulate(batch._replace(grids=grids))
        grads.append([p.grad for p in trainer.network.traces.parameters() if p.grad is not None])  # type: ignore[union-attr]
    for whole, halves in zip(grads[0], grads[1], strict=True):
        torch.testing.assert_close(whole, halves, rtol=1e-4, atol=1e-6)
    assert any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(grads[1], grads[2], strict=True))


@pytest.mark.parametrize("network", [TINY, TINY_EXPERTS], ids=lambda network: network.architecture)
def test_every_part_of_the_lesson_moves(network: NclConfig) -> None:
    trainer = Trainer(recipe(head_factor=2, network=network))
    before = snapshot(trainer)
    run(trainer, 4, Pictures())
    still = [n for n, t in snapshot(trainer).items() if n in before and torch.equal(t, before[n])]
    assert still == []
    assert any(".pivot." in name for name in before)


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(monkeypatch: pytest.MonkeyPatch, poison: str) -> None:
    trainer, material = Trainer(recipe()), Pictures()
    run(trainer, 2, material)
    before = snapshot(trainer)
    parameter = next(trainer.network.parameters())
    if poison == "loss":
        handle = trainer.network.backbone.stem.register_forward_hook(lambda m, i, o: o * torch.nan)
    else:
        handle = parameter.register_hook(lambda g: g * torch.inf)
    run(trainer, 1, material)
    handle.remove()
    after = snapshot(trainer)
    # the average goes on towards the weights, which are as they were
    changed = [n for n in before if not torch.equal(before[n], after[n]) and not n.startswith("average.")]
    assert [n for n in changed if not n.endswith("num_batches_tracked")] == []
    assert all(torch.isfinite(t).all() for t in after.values())
    assert trainer.step == 3
    means = trainer.totals.means(trainer.group)
    assert (means.steps, means.skipped) == (3, 1)
    assert np.isfinite(means.losses["loss"])
    run(trainer, 1, material)
    assert not torch.equal(parameter, before["module.network.backbone.stem.0.weight"])


def test_a_loss_that_stays_beyond_all_numbers_ends_the_run() -> None:
    trainer, material = Trainer(recipe()), Pictures()
    trainer.network.backbone.stem.register_forward_hook(lambda m, i, o: o * torch.nan)
    run(trainer, 19, material)
    trainer.totals.check()
    run(trainer, 1, material)
    with pytest.raises(TrainingDiverged, match=r"20 steps in a row.*learning_rate"):
        trainer.totals.check()


def test_accumulated_gradients_are_those_of_the_parts() -> None:
    """With batch norm in evaluation mode and no contrast, two halves give what the mean of their losses gives."""
    material, loss = Pictures(), LossConfig(mu=0.0, contrast="none")
    batch = make_batch(material, recipe(), 0)
    grads = []
    for accumulate in (1, 2):
        trainer = Trainer(recipe(grad_accum_steps=accumulate, loss=loss))
        trainer._module.eval()
        trainer.optimizer.zero_grad()
        trainer._accumulate(batch)
        grads.append([p.grad for p in trainer.network.parameters()])
    for whole, halves in zip(*grads, strict=True):
        torch.testing.assert_close(whole, halves, rtol=1e-4, atol=1e-6)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    from ncl_model.training.worker_group import WorkerGroup

    class Three(WorkerGroup):
        size = 3

    with pytest.raises(ConfigInvalid, match=r"'batch_size'.*4 cannot be shared by 3 workers"):
        Trainer(recipe(), group=Three())


def test_float16_is_refused_on_a_cpu() -> None:
    with pytest.raises(ConfigInvalid, match=r"precision.*float16 needs a CUDA device"):
        Trainer(recipe(precision="float16"))


@pytest.mark.parametrize(
    "changes",
    [{"network": NclConfig(width=4)}, {"loss": LossConfig(contrast="none")}, {"optimizer": "sgd"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_state_of_another_run_is_refused(changes: dict[str, object]) -> None:
    state = Trainer(recipe()).state()
    with pytest.raises(CheckpointMismatch, match=rf"here/state\.pt.*another {next(iter(changes))}.*another folder"):
        Trainer(recipe(**changes)).load_state(state, "here/state.pt")


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(CheckpointMismatch, match="another version"):
        Trainer(recipe()).load_state({"network": {}, "step": 3}, "state.pt")


def test_starting_from_weights_of_an_equal_network(tmp_path: Path) -> None:
    old = Trainer(recipe())
    run(old, 2, Pictures())
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, old.checkpoint({}, {}))
    new = Trainer(recipe(seed=9))
    assert new.start_from(path) == ()
    assert new.step == 0
    for name, tensor in new.average.items():
        torch.testing.assert_close(tensor, old.average[name], rtol=2e-3, atol=1e-4)  # kept as float16
    with pytest.raises(CheckpointMismatch, match=r"weights\.safetensors.*the recipe asks for"):
        Trainer(recipe(network=NclConfig(**{**TINY.to_dict(), "width": 16}))).start_from(path)


@pytest.mark.parametrize("contrast", ["none", "classes", "pivot"])
@pytest.mark.parametrize("stages", ["all", "last"])
def test_every_arm_of_the_ablation_trains(contrast: str, stages: str) -> None:
    trainer = Trainer(recipe(loss=LossConfig(contrast=contrast, stages=stages, warmup_steps=0)))  # type: ignore[arg-type]
    run(trainer, 2, Pictures())
    means = trainer.totals.means(trainer.group)
    assert means.skipped == 0
    assert (means.losses["contrast"] > 0) == (contrast != "none")


def test_a_hundred_steps_fit_eight_images() -> None:
    """Pixel F1 above 0.95 on the eight photographs it was trained on."""
    pairs = [forged(i, 64, 64) for i in range(8)]
    pixels = torch.from_numpy(np.stack([p for p, _ in pairs])).permute(0, 3, 1, 2)
    truth = torch.from_numpy(np.stack([m for _, m in pairs]).astype(np.uint8)).unsqueeze(1)
    batch = Batch(pixels, truth, labels=torch.ones(8, dtype=torch.int64), views=torch.zeros(0, dtype=torch.int64))
    network = NclConfig(**{**TINY.to_dict(), "width": 16, "aspp_channels": 16, "decoder_channels": 32, "stem": "deep"})
    ours = TrainConfig(
        network=network, steps=100, batch_size=8, crop_size=64, precision="float32", learning_rate=1e-2, warmup_steps=5,
        ema_decay=0.8, loss=LossConfig(mu=0.3, omega=0.05), seed=3,
    )  # fmt: skip
    trainer = Trainer(ours)
    for _ in range(100):
        trainer.train_step(batch)
    assert trainer.finished
    network_ = trainer.checkpoint({}, {}).build()
    with torch.inference_mode():
        maps = torch.sigmoid(network_(pixels).logits.stride1).squeeze(1).numpy()
    f1 = [pixel_f1(m, t) for m, (_, t) in zip(maps, pairs, strict=True)]
    assert np.mean(f1) > 0.95, f1
