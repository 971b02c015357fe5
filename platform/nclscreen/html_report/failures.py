"""Images that could not be read, grouped by what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.domain import JobId, Verdict
from jobs.errors import ErrorCode
from jobs.verdicts import VerdictFilter, VerdictStore
from nclscreen.html_report.explanations import EXPLANATIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureGroup:
    """All images of one error code: how many, and the first of them."""

    code: ErrorCode
    explanation: str
    total: int
    shown: Sequence[Verdict]


def failure_groups(verdicts: VerdictStore, job_id: JobId, rows: int) -> list[FailureGroup]:
    """Groups, the largest first, with at most `rows` images in all, shared out so that no code goes without."""
    totals = {ErrorCode(code): count for code, count in verdicts.error_counts(job_id).items()}
    wanted = _shares(totals, rows)
    kept: dict[ErrorCode, list[Verdict]] = {code: [] for code in totals}
    missing = sum(wanted.values())
    for found in verdicts.stream(VerdictFilter(job_id=job_id, failed=True)):
        code = found.verdict.error_code
        if not missing or code is None:
            break
        if len(kept.get(code, ())) < wanted.get(code, 0):
            kept[code].append(found.verdict)
            missing -= 1
    return [
        FailureGroup(code=code, explanation=EXPLANATIONS[code], total=total, shown=tuple(kept[code]))
        for code, total in totals.items()
    ]


def _shares(totals: dict[ErrorCode, int], rows: int) -> dict[ErrorCode, int]:
    """Rows for each code: small groups whole, the rest of the room to the large ones."""
    shares: dict[ErrorCode, int] = {}
    left = rows
    for position, (code, total) in enumerate(sorted(totals.items(), key=lambda item: item[1])):
        shares[code] = min(total, left // (len(totals) - position))
        left -= shares[code]
    return shares
