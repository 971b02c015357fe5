"""Several workers on one batch do what one would do alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.training_material import TINY_EXPERTS
from support.two_workers import one_step, shared_recipe

from ncl_model.training.worker_group import WorkerGroup

TESTS = Path(__file__).resolve().parents[1]


def together(tmp_path: Path, changes: dict[str, object]) -> dict[str, torch.Tensor]:
    """The step done by two processes."""
    script, results = str(TESTS / "support" / "two_workers.py"), tmp_path / "results.pt"
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(tmp_path / "meeting"), str(results), json.dumps(changes)],
            env=env, cwd=TESTS.parent, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    return dict(torch.load(results, weights_only=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 8},
        {"batch_size": 4, "people": 0.4, "seed": 1},  # worker 0 has no contour at all
        {"batch_size": 8, "grad_accum_steps": 2, "seed": 6},  # both parts hold the same samples, whoever has them
        {"batch_size": 8, "loss": {"contrast": "classes", "stages": "last"}},
        {"batch_size": 8, "people": 0.3, "weak": 0.4, "seed": 8, "loss": {"consistency_steps": 0, "label_weight": 1}},
        {"batch_size": 8, "network": TINY_EXPERTS.to_dict(), "loss": {"projection": 6, "centred": True}, "seed": 2},
    ],
    ids=["full", "no contour on one", "accumulated", "last stage", "labels alone", "experts"],
)
def test_two_workers_give_the_gradients_of_one(tmp_path: Path, changes: dict[str, object]) -> None:
    """Every gradient within 1e-4 of its own tensor's largest, in float32: sums are added in another order."""
    two = together(tmp_path, changes)
    one = one_step(shared_recipe(dict(changes)), WorkerGroup())
    assert two.keys() >= one.keys()
    assert any(name.startswith("grad.objective") for name in one) == ("stages" not in str(changes))
    # not the weights: AdamW's first step is as large for the smallest gradient as for the largest
    compared = [name for name in one if name.startswith("grad.") or "running" in name or name == "loss"]
    far = {name: apart(one[name], two[name]) for name in compared}
    assert {name: difference for name, difference in far.items() if difference >= 1e-4} == {}


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference, as a share of the largest value; differences of 1e-7 are none."""
    return float((a - b).abs().max() / a.abs().max().clamp_min(1e-3))
