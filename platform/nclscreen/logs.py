"""Where the program writes what happened: a file in the home folder, and warnings to people."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

_LARGEST_BYTES = 5_000_000
_OLDER_FILES = 3


def start_logging(home: Path, console: Console) -> Path:
    """Log to `HOME/logs/nclscreen.log` (rotated), warnings also to `console`; gives the file's path.

    Only our own packages are logged; what Ray writes is in Ray's session folder.
    """
    path = home / "logs" / "nclscreen.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(path, maxBytes=_LARGEST_BYTES, backupCount=_OLDER_FILES, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"))
    people = RichHandler(console=console, level=logging.WARNING, show_path=False, markup=False, log_time_format="%X")
    for name in ("jobs", "nclscreen"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = [file, people]
    return path
