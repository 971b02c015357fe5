"""What goes where: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from jobs.domain import Filters, Job, RetryImages
from jobs.domain.states import JobState
from jobs.masking import masked_document
from jobs.verdicts import FoundVerdict
from nclscreen.cli.advice import after_failure
from nclscreen.cli.masked_stream import unmasked
from nclscreen.documents import instant, verdict_document
from nclscreen.evidence_text import untestable_in_words
from nclscreen.quantities import size_in_words
from nclscreen.visible_text import visible_text

DONE, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

#: in a file or pipe a table row stays one line, however long its key
_PIPE_WIDTH = 10_000
#: wider than any table
_UNBOUNDED = 1 << 40

#: progress, notices, errors
err = Console(stderr=True, highlight=False, soft_wrap=True)
#: results for people
out = Console(highlight=False)
if not out.is_terminal:
    out = Console(highlight=False, width=_PIPE_WIDTH)

#: fields of documents that say which image is meant: masked, two could look the same
_IDENTITIES = frozenset({"key", "container", "ref", "map_uri"})

_STATE_STYLE: dict[str, str] = {
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.FAILING: "red",
    JobState.CANCELLED: "yellow",
    JobState.CANCELLING: "yellow",
}


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    stream = unmasked(sys.stdout)
    json.dump(masked_document(document, kept=_IDENTITIES), stream, indent=2, ensure_ascii=True)
    stream.write("\n")


def print_json_list(name: str, items: Iterable[Any], more: Callable[[], dict[str, Any]] = dict) -> None:
    """The document `{name: [...], **more()}`, written as the items come, however many there are."""
    stream = unmasked(sys.stdout)
    stream.write(f'{{\n  "{name}": [')
    for position, item in enumerate(items):
        stream.write(",\n    " if position else "\n    ")
        json.dump(masked_document(item, kept=_IDENTITIES), stream)
    rest = "".join(f",\n  {json.dumps(key)}: {json.dumps(value)}" for key, value in more().items())
    stream.write(f"\n  ]{rest}\n}}\n")


def verdict_documents(found: Iterable[FoundVerdict]) -> Iterator[dict[str, Any]]:
    return (verdict_document(item) for item in found)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what went wrong and end."""
    err.print(Text.assemble(("error: ", "bold red"), message))
    raise typer.Exit(code)


def visible(text: str) -> Text:
    """Untrusted text as it can be shown: control characters are spelled out, markup means nothing."""
    return Text(visible_text(text))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Lines in columns; what is in them may be untrusted."""
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    table.columns[-1].overflow = "fold"
    for row in rows:
        table.add_row(*(visible(cell) for cell in row))
    print_columns(table)


def print_columns(table: Table) -> None:
    """A table without borders; its rows end where their last cell does: a long one makes no other row longer."""
    options = out.options if out.is_terminal else out.options.update_width(_UNBOUNDED)
    segments: list[Segment] = []
    for line in out.render_lines(table, options, pad=False):
        segments += [*_without_padding(line), Segment.line()]
    out.print(Segments(segments), soft_wrap=True)


def _without_padding(line: Sequence[Segment]) -> list[Segment]:
    left = list(line)
    while left and not left[-1].text.strip(" "):
        left.pop()
    if left:
        left[-1] = left[-1]._replace(text=left[-1].text.rstrip(" "))
    return left


def state_text(state: str) -> Text:
    return Text(str(state), style=_STATE_STYLE.get(state, "cyan"))


def job_grid(
    job: Job,
    errors: dict[str, int],
    untestable: dict[str, int] | None,
    waits_for: str | None = None,
    slowed: str | None = None,
) -> Table:
    """One job in full, what could not be tested in it, what it waits for, and what makes it slower than usual."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    counts = job.counts
    rows: list[tuple[str, str | Text]] = [
        ("job", job.id),
        ("state", state_text(job.state)),
        *_labels(job),
        ("source", visible(job.source)),
        ("model", f"{job.model.name} ({job.model.fingerprint[:12]})"),
        ("threshold", f"{job.threshold:.3f}{_promise(job)}"),
        ("images", f"{counts.done:,} of {counts.total:,}; {counts.scored:,} scored, {counts.reused:,} reused"),
        ("flagged", f"{counts.flagged:,}"),
        ("failed", _failed(counts.failed, errors)),
    ]
    if missing := untestable_in_words(untestable or {}):
        rows.append(("not tested", f"for {missing}"))
    if job.found.bytes:
        unsized = f"; {job.found.unsized:,} of unknown size" if job.found.unsized else ""
        rows.append(("size", size_in_words(job.found.bytes) + unsized))
    if job.found.bad_lines:
        rows.append(("bad lines", f"{job.found.bad_lines:,}; see them with: nclscreen job {job.id} --problems"))
    if job.options.retry_of:
        which = "" if job.options.retry_images is RetryImages.FAILED else f", its {job.options.retry_images} images"
        rows.append(("retry of", f"{job.options.retry_of}{which}"))
    if job.reflag_to is not None:
        rows.append(("reflagging", f"being moved to threshold {job.reflag_to:.4f}"))
    if job.verdicts_removed_at is not None:
        rows.append(("cleared", f"{instant(job.verdicts_removed_at)}; verdicts that people looked at are kept"))
    if job.ignored:
        rows.append(("ignored", f"{job.ignored:,} files left out by the filters"))
    rows += [("submitted", instant(job.created_at) or "")]
    rows += [("started", instant(job.started_at) or "-"), ("finished", instant(job.finished_at) or "-")]
    told = {"waits": waits_for, "slowed": slowed, "error": job.error, "next": after_failure(job, errors)}
    rows += [(name, visible(value)) for name, value in told.items() if value]
    if job.report_uri and not job.report_due:
        rows.append(("report", visible(job.report_uri)))
    if job.report_error:
        waits = "waits: " if job.report_due else "could not be written: "
        rows.append(("report", visible(waits + job.report_error)))
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _labels(job: Job) -> list[tuple[str, str | Text]]:
    """What the submitter said about the job, where anything was."""
    options = job.options
    said: list[tuple[str, str | Text]] = []
    if options.name:
        said.append(("name", visible(options.name)))
    if options.tags:
        said.append(("tags", visible(", ".join(options.tags))))
    if options.priority:
        said.append(("priority", str(options.priority)))
    if job.filters != Filters():
        said.append(("filters", visible(job.filters.in_words())))
    return said


def _promise(job: Job) -> str:
    return f" for at most {100 * job.policy['max_fpr']:g} % false alarms" if job.policy else ""


def _failed(failed: int, errors: dict[str, int]) -> str:
    codes = ", ".join(f"{code} {count:,}" for code, count in errors.items())
    return f"{failed:,}" + (f" ({codes})" if codes else "")
