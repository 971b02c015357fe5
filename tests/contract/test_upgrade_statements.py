"""The statements of an upgrade, as somebody who knows PostgreSQL would read them before he runs them."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

from alembic import command

from jobs.sql.migrations import alembic_config

#: what is deployed somewhere
OLD = "0003"

# how long an index may take to be built depends on the archive; nobody waits for it
_EXCLUDED = ["--exclude", "require-statement-timeout"]


def test_a_linter_has_nothing_against_the_statements() -> None:
    """Squawk knows what locks a table for long (https://squawkhq.com/docs/rules)."""
    squawk = shutil.which("squawk", path=f"{sys.prefix}/bin")
    assert squawk is not None, "pip install squawk-cli"
    written = io.StringIO()
    config = alembic_config()
    config.output_buffer = written
    command.upgrade(config, f"{OLD}:head", sql=True)
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_verdicts_known_by_model" in written.getvalue()
    checked = subprocess.run(
        [squawk, "--stdin-filepath", "upgrade.sql", "--pg-version", "14.0", *_EXCLUDED],
        input=written.getvalue(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
