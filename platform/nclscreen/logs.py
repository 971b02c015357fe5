"""Where the program writes what happened: a file in the home folder, and warnings to people; or JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.logging import RichHandler

from jobs.domain.times import instant
from jobs.log_context import job_spoken_of
from jobs.masking import masked

LogFormat = Literal["text", "json"]

_LARGEST_BYTES = 5_000_000
_OLDER_FILES = 3


class _MaskedFormatter(logging.Formatter):
    """Lines and tracebacks without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `message`, `process`, and where there is one `job_id`, `exception`.

    Without secrets, and whatever is in a name stays inside its string.
    """

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, str | int | None] = {
            "time": instant(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
            "process": record.process,
        }
        if (job_id := job_spoken_of()) is not None:
            document["job_id"] = job_id
        if record.exc_info:
            document["exception"] = masked(self.formatException(record.exc_info))
        return json.dumps(document)


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


def start_logging(home: Path, console: Console, form: LogFormat = "text") -> Path:
    """Log to `HOME/logs/nclscreen.log` (rotated), warnings also to `console`; gives the file's path.

    In JSON everything goes to both. Where the file cannot be made, the console is told so, and is all there is.
    Only our own packages are logged; what Ray writes is in Ray's session folder.
    """
    path = home / "logs" / "nclscreen.log"
    if form == "json":
        _log_to(_json_lines(console), *_files(path, console, JsonFormatter()), more=("uvicorn",))
        return path
    people = RichHandler(console=console, level=logging.WARNING, show_path=False, markup=False, log_time_format="%X")
    lines = _MaskedFormatter("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
    _log_to(people, *_files(path, console, lines))
    return path


def log_json(console: Console) -> None:
    """Log in JSON to the console alone: for a process that shares its home with the one that writes the file."""
    _log_to(_json_lines(console), more=("uvicorn",))


def _json_lines(console: Console) -> logging.Handler:
    handler = logging.StreamHandler(console.file)
    handler.setFormatter(JsonFormatter())
    return handler


def _log_to(*handlers: logging.Handler, more: tuple[str, ...] = ()) -> None:
    for name in ("jobs", "nclscreen", *more):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = list(handlers)


def _files(path: Path, console: Console, lines: logging.Formatter) -> list[logging.Handler]:
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        file = _LogFile(path, console)
    except OSError as error:
        _tell(console, path, error)
        return []
    file.setFormatter(lines)
    return [file]


def _tell(console: Console, path: Path | str, error: BaseException | None) -> None:
    why = error.strerror if isinstance(error, OSError) else error
    console.print(f"the log {path} cannot be written: {why}", style="yellow", markup=False, soft_wrap=True)
