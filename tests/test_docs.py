"""The documents are held against the program: commands, settings, error codes, states, links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from jobs.domain.states import TRANSITIONS, JobState
from jobs.error_codes import NOTES
from jobs.errors import ErrorCode
from nclscreen.cli.app import build_app
from nclscreen.cli.remote import build_remote_app
from nclscreen.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
JOBS = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "deploy" / "README.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_example_names_a_folder_that_only_we_have(page: Path) -> None:
    assert "../shared" not in page.read_text(encoding="utf-8")


def all_commands() -> dict[str, set[str]]:
    """Every command by its words ("data pack"), with its options."""
    found: dict[str, set[str]] = {}
    for name, command in typer.main.get_command(build_app()).commands.items():  # type: ignore[attr-defined]
        for words, each in (
            [(f"{name} {below}", c) for below, c in command.commands.items()]
            if hasattr(command, "commands")
            else [(name, command)]
        ):
            found[words] = {option for parameter in each.params for option in parameter.opts}
    return found


def examples(page: str) -> list[tuple[str, str]]:
    """(words of the command, the rest of the line) of each command line shown on a page."""
    lines = re.findall(r"^    (?:\.venv/bin/)?nclscreen (?!--api )(.*)$", page, flags=re.MULTILINE)
    groups = {words.split()[0] for words in all_commands() if " " in words}
    cut = [(line.split(maxsplit=2) if line.split()[0] in groups else ["", *line.split(maxsplit=1)]) for line in lines]
    return [(f"{parts[0]} {parts[1]}".strip(), parts[2] if len(parts) > 2 else "") for parts in cut]


def test_every_command_has_an_example_and_every_example_is_a_command() -> None:
    assert {words for words, _ in examples(CLI)} == set(all_commands())


def test_the_readme_shows_only_commands_there_are() -> None:
    assert {words for words, _ in examples(README)} <= set(all_commands())


def test_examples_on_another_machine_s_api_exist() -> None:
    tree = typer.main.get_command(build_remote_app("http://desk.example.org"))
    lines = re.findall(r"^    nclscreen --api \S+ (\S+)(.*)$", (ROOT / "docs/api.md").read_text(), flags=re.MULTILINE)
    assert len(lines) >= 3
    for name, rest in lines:
        command = tree.commands[name]  # type: ignore[attr-defined]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(--[a-z-]+)", rest)) <= options, name
    told = re.search(r"before the command, (.*?) ask the API there", (ROOT / "docs/api.md").read_text())
    assert told
    assert set(re.findall(r"`([a-z]+)`", told[1])) == set(tree.commands)  # type: ignore[attr-defined]


def test_the_lines_of_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 96, 3), dtype=np.uint8)).save(
        tmp_path / "suspicious.jpg"
    )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block, names)
    assert 0 <= names["found"].score <= 1
    assert names["found"].heatmap.shape == (80, 96)


def test_the_chart_of_states_is_what_the_program_allows() -> None:
    """All but what every state can: `cancelling` and `failing` are said in words below the chart."""
    shown = set(re.findall(r"^    (\w+) --> (\w+)$", README.split("stateDiagram-v2")[1].split("```")[0], re.M))
    allowed = {(before.value, after.value) for before, after in pairs() if after.value not in {"cancelling", "failing"}}
    assert shown == allowed


def pairs() -> list[tuple[JobState, JobState]]:
    return [(before, after) for before, following in TRANSITIONS.items() for after in following]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_examples_exist(page: Path) -> None:
    commands = all_commands()
    for words, rest in examples(page.read_text(encoding="utf-8")):
        for option in re.findall(r"(--[a-z-]+)", rest.split("#")[0]):
            assert option in commands[words], f"nclscreen {words} has no {option}"


def settings_table() -> str:
    """The README's table of settings, as it has to be."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `NCLSCREEN_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_the_table_of_settings_is_the_settings() -> None:
    table = re.search(r"<!-- settings.*?-->\n(.*?)\n<!-- end", README, flags=re.DOTALL)
    assert table is not None
    assert table.group(1) == settings_table()


def test_the_table_of_error_codes_is_the_programs() -> None:
    assert set(NOTES) == set(ErrorCode)
    rows = ["| code | meaning | what to do |", "|---|---|---|"]
    rows += [f"| `{code.value}` | {note.meaning} | {note.remedy} |" for code, note in NOTES.items()]
    table = re.search(r"<!-- codes.*?-->\n(.*?)\n<!-- end", JOBS, flags=re.DOTALL)
    assert table is not None
    assert table.group(1) == "\n".join(rows)


def test_every_state_and_what_follows_is_in_the_table() -> None:
    table = JOBS.split("| state | meaning |")[1].split("\n\n")[0]
    assert {state.value for state in JobState} <= set(re.findall(r"`([a-z_]+)`", table))
    for state in ("preparing", "ready", "running", "pausing", "paused", "completing"):
        row = next(line for line in table.splitlines() if line.startswith(f"| `{state}`"))
        following = set(re.findall(r"`([a-z_]+)`", row.rsplit("|", 2)[1]))
        assert following == {after.value for after in TRANSITIONS[JobState(state)]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_named_in_the_documents_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:tests|benchmarks|jobs|ncl_model|platform|deploy)/[\w./-]+)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
