"""Which arithmetic is quick here: read from what the system says of its processor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.training_material import recipe

from ncl_model.inference.processor import has_fast_bfloat16
from ncl_model.training import devices
from ncl_model.training.devices import precision_on


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", True),
        ("flags\t\t: fpu avx2 amx_bf16 amx_tile", True),
        ("Features\t: fp asimd bf16", True),
        ("flags\t\t: fpu sse4_2 avx2 avx512f", False),
        ("model name\t: avx512_bf16", False),
    ],
)
def test_flags_decide(tmp_path: Path, line: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert has_fast_bfloat16(tmp_path / "cpuinfo") is expected


def test_a_system_that_says_nothing_gets_float32(tmp_path: Path) -> None:
    assert not has_fast_bfloat16(tmp_path / "nothing")


@pytest.mark.parametrize(("fast", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_follows_the_processor_and_a_named_one_stays(
    monkeypatch: pytest.MonkeyPatch, fast: bool, expected: str
) -> None:
    monkeypatch.setattr(devices, "has_fast_bfloat16", lambda: fast)
    cpu = torch.device("cpu")
    assert precision_on(recipe(precision="auto"), cpu) == expected
    assert precision_on(recipe(precision="float32"), cpu) == "float32"


def test_numpy_multiplies_in_one_thread_and_torch_in_its_own() -> None:
    """In a process of its own: it is a setting of the whole process."""
    program = (
        "import torch, numpy, threadpoolctl as t; from ncl_model.inference.processor import one_blas_thread;"
        "torch.set_num_threads(2); one_blas_thread();"
        "print([p['num_threads'] for p in t.threadpool_info() if p['user_api'] == 'blas'], torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1] 2"
