"""PostgreSQL by pg_dump and pg_restore, in the custom format; the password never stands among their arguments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from jobs.masking import masked
from jobs.sql.backups.errors import BackupRefused, ProgramMissing

#: owners and rights are those of whoever puts it back
_PLAIN = ("--no-owner", "--no-privileges")
_REVISION = re.compile(r"^COPY [^\n]*alembic_version [^\n]*\n([^\n]+)\n", re.MULTILINE)


def take(engine: Engine, path: Path) -> None:
    """Dump the database into the file, beside the work."""
    _run(engine, ["pg_dump", "--format=custom", *_PLAIN, f"--file={path}", f"--dbname={_address(engine)}"])


def put_back(engine: Engine, path: Path, filled: bool) -> None:
    """Have the database hold what the file holds, in one transaction; what is there is dropped if it is filled."""
    engine.dispose()
    clean = ["--clean", "--if-exists"] if filled else []
    command = ["pg_restore", "--single-transaction", "--exit-on-error", *_PLAIN, *clean]
    _run(engine, [*command, f"--dbname={_address(engine)}", str(path)])


def revision_in(path: Path) -> str | None:
    """The schema's revision in a file whose contents can be listed. Raises BackupRefused."""
    _run(None, ["pg_restore", "--list", str(path)])
    rows = _run(None, ["pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(path)])
    found = _REVISION.search(rows)
    return None if found is None else found[1].strip()


def _address(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)


def _run(engine: Engine | None, command: Sequence[str]) -> str:
    name, *rest = command
    program = shutil.which(name)
    if program is None:
        raise ProgramMissing(name, " ".join(command))
    env = dict(os.environ)
    if engine is not None and engine.url.password:
        env["PGPASSWORD"] = str(engine.url.password)
    done = subprocess.run([program, *rest], check=False, capture_output=True, text=True, env=env)  # noqa: S603
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise BackupRefused(masked(said[0]))
    return done.stdout
