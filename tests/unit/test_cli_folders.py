"""Places to write to: looked at before long work begins, and what is told when writing fails at its end."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nclscreen import html_report
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


def test_places_that_others_may_not_write_to() -> None:
    with tempfile.TemporaryDirectory() as place:  # not tmp_path: others may not even enter that
        Path(place).chmod(0o755)
        command = [sys.executable, "-c", _AS_NOBODY, place]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.stdout.splitlines() == [
        f"--report '{place}/new/report': no permission to write into {place}; name another folder",
        f"note: you may not write into {place}; who runs the dispatcher must",
    ]


_AS_NOBODY = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
import typer
from nclscreen.cli.folders import check_folder
from nclscreen.services.destinations import check_report_place
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
else:
    os.chmod(sys.argv[1], 0o555)
try:
    check_folder(Path(sys.argv[1]) / "new/report", "--report")
except typer.BadParameter as error:
    print(error.message)
operator = SimpleNamespace(project=None)
print(*check_report_place(operator, "file://" + sys.argv[1] + "/new"))
"""


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("folder", ["a-file", "a-file/report"])
def test_a_report_that_has_no_place_is_told_before_anything_begins(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (tmp_path / "a-file").write_text("x")
    assert run(["screen", "photos", "--report", folder]) == 2
    assert f"--report '{folder}': {tmp_path}/a-file is no folder" in capsys.readouterr().err.replace("\n", " ")
    assert wiring.jobs.latest() == []


@pytest.mark.usefixtures("photos")
def test_a_job_is_shown_though_its_report_cannot_be_written(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "photos" / "list.csv").write_text("size,etag\n1,abc\n")
    with monkeypatch.context() as patched:
        patched.setattr(html_report, "write_report", full)
        assert run(["screen", "photos/list.csv", "--report", "out", "--json"]) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["state"], document["report"]) == ("failed", None)
    assert "cannot write the report into out: Read-only file system; the job's verdicts are kept" in printed.err
    assert f"nclscreen screen --resume {document['id']} --report FOLDER" in printed.err.replace("\n", " ")
    assert run(["screen", "--resume", document["id"], "--report", "out"]) == 1
    assert (tmp_path / "out" / "index.html").is_file()
