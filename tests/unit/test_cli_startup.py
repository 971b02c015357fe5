"""Commands that compute nothing start without what computes: torch alone takes a second to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

HEAVY = ("torch", "ray", "cv2", "pandas", "pyarrow", "fastapi")
#: each with arguments under which it has something to do
COMMANDS = (
    ["--help"],
    ["jobs", "--json"],
    ["flagged", "--json"],
    ["schedules", "list", "--json"],
    ["runs", "--json"],
    ["top", "--once"],
    ["keys", "list", "--json"],
    ["db", "check"],
    ["models", "--json"],
    ["submit", ".", "--json"],
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nothing_that_computes_is_imported(arguments: list[str], tmp_path: Path) -> None:
    program = f"""
import sys
from nclscreen.cli import main
sys.argv = ["nclscreen", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("NCLSCREEN_")}
    env["NCLSCREEN_HOME"] = str(tmp_path / "home")
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
