"""What `jobs/` says is read over HTTP and on pages, too: it names no command and no option of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from nclscreen.cli.app import build_app

JOBS = Path(__file__).resolve().parents[1] / "jobs"
COMMANDS = sorted(typer.main.get_command(build_app()).commands)  # type: ignore[attr-defined]
ADVICE = re.compile(rf"\bnclscreen ({'|'.join(map(re.escape, COMMANDS))})\b|(?<![\w-])--[a-z]")
#: passes options to programs of PostgreSQL
OTHER_PROGRAMS = {"sql/backups/postgres_programs.py"}


def words(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module but docstrings; of one with values in it, each piece."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def advice_in(source: str) -> list[tuple[int, str]]:
    return [(line, said) for line, said in words(source) if ADVICE.search(said)]


@pytest.mark.parametrize(
    ("said", "is_advice"),
    [
        ("'nclscreen db copy' goes on", True),
        ("bring it up with nclscreen up", True),
        ("replace it with --force", True),
        ("leave them out by `--storage-class`", True),
        ("this version of nclscreen needs 0040", False),
        ("as nclscreen saw it -- or not", False),
        ("more than NCLSCREEN_MAX_PIXELS", False),
    ],
)
def test_advice_is_known_when_seen(said: str, is_advice: bool) -> None:
    assert bool(advice_in(f'"""About."""\nraise ValueError(f"{{path}}: {said}")')) is is_advice
    assert advice_in(f'"""{said}"""\ndef run():\n    """{said}"""\n') == []


def test_no_string_of_the_jobs_names_a_command_or_an_option() -> None:
    found = {str(path.relative_to(JOBS)): advice_in(path.read_text()) for path in JOBS.rglob("*.py")}
    assert {name: said for name, said in found.items() if said and name not in OTHER_PROGRAMS} == {}
