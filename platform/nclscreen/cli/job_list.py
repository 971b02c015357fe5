"""Jobs as lines, newest first: who submitted what under which name, with which model, when, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from nclscreen.cli import output
from nclscreen.visible_text import shorten_end, shorten_middle, visible_text

_HEADINGS = (
    "job",
    "state",
    "waits",
    "images",
    "flagged",
    "failed",
    "submitted",
    "finished",
    "model",
    "name",
    "tags",
    "source",
)
_NUMBERS = frozenset({"images", "flagged", "failed"})
#: characters of a column; the source comes last, whole
_LONGEST = 28
#: what a job waits for is a sentence: its verb is to be there
_LONGEST_WAITS = 60


def print_jobs(jobs: Sequence[Mapping[str, Any]], *, asked: bool, begin: str) -> None:
    """Columns as wide as this page needs; names and tags that nobody gave take no room.

    `jobs`: documents, with `waits_for` where the job waits; whoever asks an API has the same ones. `asked`: something
    was filtered by. `begin`: the command that makes the first job.
    """
    if not jobs:
        none_yet = f"there are no jobs yet; begin with: {begin}"
        output.err.print("no job is like that; 'jobs' without filters lists all" if asked else none_yet)
        return
    rows = [_cells(job) for job in jobs]
    widths = {name: max(len(row[name]) for row in rows) for name in _HEADINGS}
    shown = [name for name in _HEADINGS if widths[name]]
    heading = {name: name for name in shown}
    _print([Text(_padded(name, heading, widths), style="bold") for name in shown])
    for job, row in zip(jobs, rows, strict=True):
        style = str(output.state_text(job["state"]).style)
        _print([Text(_padded(name, row, widths), style=style if name == "state" else "") for name in shown])


def _cells(job: Mapping[str, Any]) -> dict[str, str]:
    counts = job["counts"]
    done = counts["scored"] + counts["reused"] + counts["failed"]
    return {
        "job": job["id"],
        "state": job["state"],
        "waits": shorten_end(visible_text(job.get("waits_for") or ""), _LONGEST_WAITS),
        "images": f"{done:,}/{counts['total']:,}",
        "flagged": f"{counts['flagged']:,}",
        "failed": f"{counts['failed']:,}",
        "submitted": _minute(job["created_at"]),
        "finished": _minute(job["finished_at"]),
        "model": _short(job["model"]["name"]),
        "name": _short(job["name"] or ""),
        "tags": _short(", ".join(job["tags"])),
        "source": visible_text(job["source"]),
    }


def _minute(instant: str | None) -> str:
    return (instant or "")[:16].replace("T", " ")


def _short(text: str) -> str:
    return shorten_middle(visible_text(text), _LONGEST)


def _padded(name: str, row: dict[str, str], widths: dict[str, int]) -> str:
    if name == _HEADINGS[-1]:
        return row[name]
    width = max(widths[name], len(name))
    return row[name].rjust(width) if name in _NUMBERS else row[name].ljust(width)


def _print(cells: list[Text]) -> None:
    output.out.print(Text("  ").join(cells), soft_wrap=True)
