"""`doctor`: looks whether everything that is needed works, and says what to mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from nclscreen.cli import output
from nclscreen.cli.advice import with_advice
from nclscreen.cli.output import visible
from nclscreen.services.health import Finding, health_checks
from nclscreen.wiring import wire


def doctor(
    source: Annotated[str | None, typer.Option(help="Also check that this folder or s3://bucket can be read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Check database, storage, model and Ray, and say what to mend."""
    findings = []
    for check in health_checks(wire(), source):
        with output.err.status(f"checking {check.part}"):
            findings.append(check())
    if as_json:
        parts: list[dict[str, Any]] = [{"part": f.part, "ok": f.ok, "message": _message(f)} for f in findings]
        output.print_json({"ok": all(f.ok for f in findings), "checks": parts})
    else:
        output.print_columns(_table(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(output.FAILED)


def _message(finding: Finding) -> str:
    return finding.message if finding.error is None else with_advice(finding.error, finding.message)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        mark = Text("ok", style="green") if finding.ok else Text("mend", style="bold red")
        table.add_row(mark, finding.part, visible(_message(finding)))
    return table
