"""Places to write to, looked at before long work begins, by a user without power over permissions."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


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
import typer
from nclscreen.cli import output, requests
from nclscreen.cli.folders import check_folder
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
else:
    os.chmod(sys.argv[1], 0o555)
try:
    check_folder(Path(sys.argv[1]) / "new/report", "--report")
except typer.BadParameter as error:
    print(error.message)
output.err.file = sys.stdout
output.err.soft_wrap = True
requests._check_report(None, "file://" + sys.argv[1] + "/new")
"""
