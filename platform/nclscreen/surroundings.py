"""What the program finds and makes around itself: settings in the environment, its folder on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from jobs.errors import JobsError
from jobs.masking import know_secrets, masked, secrets_in
from nclscreen.settings import Settings


class InvalidSettings(JobsError):
    """An environment variable has a value that cannot be used."""


def load_settings() -> Settings:
    """Settings from the environment. Raises InvalidSettings, which names the variable."""
    try:
        settings = Settings()
    except ValidationError as error:
        problems = [
            f"NCLSCREEN_{'_'.join(map(str, problem['loc'])).upper().removeprefix('NCLSCREEN_')}: {problem['msg']}"
            # a secret is not for terminals and logs
            + ("" if "webhook_secret" in problem["loc"] else f" (is {problem['input']!r})")
            for problem in error.errors()
        ]
        raise InvalidSettings(masked("; ".join(problems))) from None
    know_secrets([*secrets_in(settings.database_url), *secrets_in(settings.mlflow_tracking_uri, {})])
    return settings


def make_folder(path: Path, advice: str = "set NCLSCREEN_HOME") -> None:
    """Make a folder of ours, for this user alone. Raises InvalidSettings, with the advice, when the disk says no."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidSettings(f"cannot make the folder {path}: {error.strerror}; {advice}") from None


def make_private_file(path: Path) -> None:
    """An empty file that this user alone can read, unless there is one; SQLite gives its other files the same mode."""
    with suppress(OSError):  # what is wrong is told when it is opened
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
