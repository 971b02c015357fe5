"""What to type next: errors of the layers below say what is wrong, the command line adds the command or option."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.domain import Counts, Job, JobId, ModelRef
from jobs.domain.corpus import Filters
from jobs.domain.states import JobState
from jobs.errors import CopyUnfinished, ErrorCode, JobsError
from jobs.sql.backups import DatabaseFilled, DatabaseInUse, FileInTheWay, OtherKind
from jobs.sql.copying import SourceInUse
from nclscreen.cli.advice import after_failure, with_advice
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring

FILE = Path("/kept.backup")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (CopyUnfinished(), "; 'nclscreen db copy' on that one goes on with it"),
        (SourceInUse(["desk-1 was seen"]), "; end 'nclscreen up', 'screen' and 'serve' first"),
        (DatabaseInUse(["desk-1 was seen"]), "; end 'nclscreen up' and 'serve' first"),
        (DatabaseFilled("jobs"), "; to replace everything say --force"),
        (FileInTheWay(FILE, replaceable=True), "is there already; take another name, or replace it with --force"),
        (FileInTheWay(FILE, replaceable=False), "and is no file; take another name"),
        (OtherKind(FILE, "SQLite", "PostgreSQL"), "copy that one; one is copied into another with: nclscreen db copy"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, JobsError) else "",
)  # fmt: skip
def test_an_error_is_told_with_what_helps(error: JobsError, advice: str) -> None:
    assert with_advice(error).endswith(advice)
    assert "nclscreen " not in str(error)
    assert "--" not in str(error)


def failed(code: ErrorCode, *, of: int = 3) -> tuple[Job, dict[str, int]]:
    job = Job(
        id=JobId("j"),
        state=JobState.FAILED,
        source="/my photos",
        filters=Filters(),
        model=ModelRef(name="m 1", fingerprint="f" * 64),
        threshold=0.5,
        counts=Counts(total=of, failed=3),
        created_at=0.0,
    )
    return job, {code.value: 2, ErrorCode.CORRUPT.value: 1}


def test_what_most_images_failed_by_says_what_to_type() -> None:
    doctor = "look at the storage with: nclscreen doctor --source '/my photos'"
    assert after_failure(*failed(ErrorCode.TIMEOUT)) == f"{doctor}; once that is mended: nclscreen retry j"
    assert after_failure(*failed(ErrorCode.TIMEOUT, of=9)) == doctor
    assert "--storage-class STANDARD" in (after_failure(*failed(ErrorCode.ARCHIVED)) or "")
    assert after_failure(*failed(ErrorCode.EMPTY)) == "once that is mended: nclscreen retry j"
    job, errors = failed(ErrorCode.TIMEOUT)
    assert after_failure(replace(job, state=JobState.COMPLETED), errors) is None


@pytest.mark.usefixtures("photos")
def test_a_list_that_leads_outside_is_told_how_to_be_trusted(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "list.csv").write_text("path\n../x.jpg\n00.jpg\n")
    assert run(["screen", "photos/list.csv"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "outside the folder of the list" in printed
    assert "submit it again with --allow-outside" in printed
    assert "--skip-bad-lines to go on without" in printed
    assert run(["job", wiring.jobs.latest()[0].id, "--problems"]) == 0
    assert "submit it again with --allow-outside" in " ".join(capsys.readouterr().err.split())
