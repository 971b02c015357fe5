"""Where the program writes what happened: a file in the home folder, and warnings to people."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from jobs.masking import masked

_LARGEST_BYTES = 5_000_000
_OLDER_FILES = 3


class _MaskedFormatter(logging.Formatter):
    """Lines and tracebacks without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class _LogFile(RotatingFileHandler):
    """A log whose own trouble, such as a full disk, is told once and in one line, not as a traceback a record."""

    def __init__(self, path: Path, console: Console) -> None:
        super().__init__(path, maxBytes=_LARGEST_BYTES, backupCount=_OLDER_FILES, encoding="utf-8")
        self._console = console
        self._failed = False
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        self._told = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging calls
        self._failed = True
        if not self._told:
            _tell(self._console, self.baseFilename, sys.exception())


def start_logging(home: Path, console: Console) -> Path:
    """Log to `HOME/logs/nclscreen.log` (rotated), warnings also to `console`; gives the file's path.

    Where the file cannot be made, the console is told so, and is all there is.
    Only our own packages are logged; what Ray writes is in Ray's session folder.
    """
    path = home / "logs" / "nclscreen.log"
    people = RichHandler(console=console, level=logging.WARNING, show_path=False, markup=False, log_time_format="%X")
    files = _files(path, console)
    for name in ("jobs", "nclscreen"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = [people, *files]
    return path


def _files(path: Path, console: Console) -> list[logging.Handler]:
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        file = _LogFile(path, console)
    except OSError as error:
        _tell(console, path, error)
        return []
    file.setFormatter(_MaskedFormatter("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"))
    return [file]


def _tell(console: Console, path: Path | str, error: BaseException | None) -> None:
    why = error.strerror if isinstance(error, OSError) else error
    console.print(f"the log {path} cannot be written: {why}", style="yellow", markup=False, soft_wrap=True)
