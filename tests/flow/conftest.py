"""A program of its own for every flow test: with an empty home folder and a small model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.flow_program import Program
from support.tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def program(tmp_path: Path, tiny_weights: Path) -> Iterator[Program]:
    """The program with an empty home and the tiny model."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NCLSCREEN_", "AWS_"))}
    env |= {
        "NCLSCREEN_HOME": str(tmp_path / "home"),
        "NCLSCREEN_WEIGHTS": str(tiny_weights),
        "NCLSCREEN_REPLICA_THREADS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    program = Program(env)
    yield program
    program.close()
