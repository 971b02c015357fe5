"""Every way out of the program is masked: standard output and error, JSON, logs, report, completion report."""

from __future__ import annotations

import csv
import io
import json
import logging
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from support.builders import FINGERPRINT, entry, unreadable

from jobs.completion_reports.report_rows import result_row
from jobs.domain import Verdict
from jobs.masking import forget_secrets, masked_document
from jobs.sql.database import InvalidDatabaseUrl, create_database_engine
from nclscreen.cli import app, output
from nclscreen.cli.masked_stream import masked_streams
from nclscreen.logs import start_logging
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

SECRET = "hunter2-very-secret"
URL = f"postgresql://me@127.0.0.1:9/name?password={SECRET}&connect_timeout=1"


@pytest.fixture(autouse=True)
def none_known() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()
    for name in ("jobs", "nclscreen"):
        logger = logging.getLogger(name)
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.propagate = [], True


@pytest.mark.parametrize(
    "command", [["doctor", "--json"], ["jobs"], ["db", "check"], ["submit", f"s3://AKIA:{SECRET}@bucket/x"]]
)
@pytest.mark.parametrize("url", [URL, f"postgresql://me:{SECRET}@127.0.0.1:9/name", f"postgresql://me:p@{SECRET}@h/n"])
def test_no_command_tells_the_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, command: list[str], url: str
) -> None:
    """Found 11: `doctor`, `up` and errors did, when it stood in the query or held an @; addresses of buckets, too."""
    from nclscreen import wiring
    from nclscreen.services import health

    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", url)
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path))
    for name in ("ray_cluster", "model", "heatmaps"):
        monkeypatch.setattr(health, name, lambda wiring: "not looked at")
    wiring.wire.cache_clear()
    try:
        assert app.run(command) != 0
    finally:
        wiring.wire.cache_clear()
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err
    assert told.out + told.err


def test_a_password_with_an_at_sign_is_refused_without_being_told() -> None:
    with pytest.raises(InvalidDatabaseUrl, match="%40") as caught:
        create_database_engine(f"postgresql://me:p@{SECRET}@host/name")
    assert SECRET not in str(caught.value)


def test_the_streams_mask_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with masked_streams():
        print(f"password={SECRET}")
        print(f"password={SECRET}", file=sys.stderr)
        output.err.print(f"database postgresql://me:{SECRET}@host/x")
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    assert told.out == "password=***\n"


def test_documents_keep_what_says_which_image_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"key": "token=1.jpg", "error_message": f"{URL} refused", "more": [f"password={SECRET}"]}
    with masked_streams():
        output.print_json(document)
        output.print_json_list("items", [document])
    told = capsys.readouterr().out
    assert SECRET not in told
    assert json.loads(told[: told.index("}") + 1])["key"] == "token=1.jpg"
    assert masked_document(document)["key"] == "token=***"


def test_logs_are_masked_also_in_tracebacks(tmp_path: Path) -> None:
    path = start_logging(tmp_path, Console(file=io.StringIO()))
    try:
        raise RuntimeError(f"cannot connect to {URL}")
    except RuntimeError:
        logging.getLogger("jobs.test").exception("cannot reach s3://AKIA:%s@bucket", SECRET)
    for handler in logging.getLogger("jobs").handlers:
        handler.flush()
    text = path.read_text()
    assert SECRET not in text
    assert "RuntimeError: cannot connect to postgresql://me@127.0.0.1:9/name?password=***" in text


def test_a_completion_report_is_masked_and_has_no_formula() -> None:
    """Found 10: version ids went into the file as they were."""
    evil = entry("a.jpg", version_id='=HYPERLINK("http://evil")')
    row = result_row(unreadable(0, evil, message=f"{URL} refused"))
    assert SECRET not in row[-1]
    versioned = Verdict(
        ordinal=0, container="s3://b", key=evil.key, version_id=evil.version_id, score=0.5, fingerprint=FINGERPRINT
    )
    for cells in (row, result_row(versioned)):
        line = io.StringIO()
        csv.writer(line).writerow(cells)
        (read,) = csv.reader([line.getvalue()])
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in read)


def test_the_home_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    """Found 10: 0755, and 0644 for the database: everybody on the machine could read verdicts and reviews."""
    home = tmp_path / "home"
    wiring = Wiring(Settings(home=home))
    wiring.jobs.latest(1)
    start_logging(home, Console(file=io.StringIO()))
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir())}
    assert modes[home] == 0o700
    assert modes[home / "logs"] == 0o700
    files = {path.name: mode for path, mode in modes.items() if path.name.startswith("nclscreen.sqlite")}
    assert set(files.values()) == {0o600}, files


def test_copies_of_weights_do_not_open_the_home_folder(tmp_path: Path) -> None:
    """They come first, when a job is submitted, and a storage makes folders as the system does."""
    home = tmp_path / "home"
    assert Wiring(Settings(home=home)).versions is not None
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
