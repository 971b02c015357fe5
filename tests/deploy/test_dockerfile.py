"""`deploy/Dockerfile`: by hadolint, and against the repository that it is built from."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.deployment.documents import DEPLOY, ROOT

from nclscreen import __version__
from nclscreen.api.health import router

TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
HADOLINT = Path(sys.executable).with_name("hadolint")


def hadolint(text: str) -> str:
    done = subprocess.run([HADOLINT, "-"], input=text, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_hadolint_finds_nothing() -> None:
    assert hadolint(TEXT) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("ARG PYTHON=3.11.15-slim-bookworm", "ARG PYTHON=3.11.15-slim-bookworm\nFROM python", "DL3006"),
        ("USER 1000:1000", "USER root", "DL3002"),
        ("pip install --no-cache-dir", "pip install", "DL3042"),
        ("HEALTHCHECK", "HEALTCHECK", "Dockerfile|unexpected"),
    ],
)
def test_hadolint_would_find_a_mistake(right: str, wrong: str, rule: str) -> None:
    assert re.search(rule, hadolint(TEXT.replace(right, wrong)))


def test_what_is_copied_is_there_and_let_through() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", TEXT, flags=re.MULTILINE)
    allowed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), flags=re.MULTILINE)
    assert sorted(copied) == sorted(allowed) == ["deploy/on_ray.sh", "dist/"]
    assert (ROOT / "deploy" / "on_ray.sh").stat().st_mode & 0o111, "it is started by its name"
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--wheel-dir dist" in recipe
    assert "cp constraints.txt dist/" in recipe


def test_the_image_runs_as_one_user_who_is_not_root() -> None:
    assert re.findall(r"^USER (.*)$", TEXT, flags=re.MULTILINE) == ["1000:1000"]
    assert "--uid 1000" in TEXT
    assert 'VOLUME ["/state", "/tmp"]' in TEXT
    assert "NCLSCREEN_HOME=/state" in TEXT


def test_its_health_is_asked_where_it_answers() -> None:
    (path,) = re.findall(r"http://127\.0\.0\.1:8080(/\w+)", TEXT.split("HEALTHCHECK")[1].split("\n\n")[0])
    assert path in {route.path for route in router.routes}  # type: ignore[attr-defined]


def test_the_python_is_one_that_the_program_is_made_for() -> None:
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-", TEXT, flags=re.MULTILINE)
    assert f"-t nclscreen:{__version__}" in TEXT
