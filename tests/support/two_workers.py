"""Run by two processes at once: one training step of each on its share of a batch; the results go to a file.

Arguments: rank, file to meet at, file of the results (written by rank 0), JSON of what the recipe changes.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from support.training_material import Pictures, forged, photo, recipe

from ncl_model.architecture.config import NclConfig
from ncl_model.losses.objective import LossConfig
from ncl_model.training.batches import make_batch
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.trainer import Trainer
from ncl_model.training.worker_group import DistributedGroup, WorkerGroup


def shared_recipe(changes: dict[str, object]) -> TrainConfig:
    loss = LossConfig(**{"mu": 0.5, "omega": 0.5, "warmup_steps": 0, **changes.pop("loss", {})})  # type: ignore[dict-item]
    if "network" in changes:
        changes["network"] = NclConfig.from_dict(changes["network"])  # type: ignore[arg-type]
    return recipe(**{"loss": loss, "seed": 5, "people": 0.5, "synthetic": 0.0, **changes})


def one_step(ours: TrainConfig, group: WorkerGroup, steps: int = 1) -> dict[str, torch.Tensor]:
    """Gradients, weights and statistics after some steps, in float64 for the comparison."""
    material = Pictures(
        tampered=[forged(i) for i in range(4)],
        authentic=[photo(50 + i) for i in range(4)],
        unmasked=[forged(20 + i)[0] for i in range(4)],
    )
    trainer = Trainer(ours, group=group)
    for _ in range(steps):
        batch = make_batch(material, ours, trainer.step, group.rank, group.size)
        trainer.train_step(batch)
    means = trainer.totals.means(group)
    found = {f"state.{n}": t for n, t in trainer.state()["module"].items()}
    found |= {f"grad.{n}": p.grad for n, p in trainer._module.named_parameters() if p.grad is not None}
    return {n: t.detach().clone() for n, t in found.items()} | {"loss": torch.tensor(means.losses["loss"])}


def main() -> None:
    rank, meeting, results, changes = int(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    found = one_step(shared_recipe(changes), DistributedGroup(torch.device("cpu")))
    if rank == 0:
        torch.save(found, results)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
