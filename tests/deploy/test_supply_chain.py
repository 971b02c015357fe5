"""`.ci/supply_chain`: the list is made in any case, and held against known weaknesses where somebody tells of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.deployment.documents import ROOT


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def run(folder: Path, *, asking: str, making: str = "true") -> tuple[int, str, list[str]]:
    """Its exit code, what it says, and what it had made; `asking` stands for the question to PyPI."""
    program(folder / "make", f'echo "$1" >> "{folder}/made"; {making}')
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": str(program(folder / "asking", asking))}
    done = subprocess.run(
        [ROOT / ".ci" / "supply_chain"], env=env, check=False, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, (folder / "made").read_text().split()


def test_what_is_known_is_asked_where_it_is_told(tmp_path: Path) -> None:
    assert run(tmp_path, asking="true") == (0, "", ["sbom", "audit"])


def test_elsewhere_it_says_why_not_in_a_line(tmp_path: Path) -> None:
    code, said, made = run(tmp_path, asking="echo Traceback >&2; echo 'HTTP Error 404: Not Found' >&2; exit 1")
    assert (code, made) == (0, ["sbom"])
    assert said == "make audit is left out, PyPI does not tell of weaknesses here: HTTP Error 404: Not Found\n"


@pytest.mark.parametrize("step", ["sbom", "audit"])
def test_what_goes_wrong_is_a_failure(tmp_path: Path, step: str) -> None:
    code, _, made = run(tmp_path, asking="true", making=f'test "$1" != {step}')
    assert code != 0
    assert made[-1] == step


def test_continuous_integration_runs_it() -> None:
    assert ".ci/supply_chain" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "supply_chain", os.X_OK)
