"""The statements of an upgrade, as somebody who knows PostgreSQL would read them before he runs them."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys

import pytest
from alembic import command

from jobs.sql.migrations import alembic_config

#: what is deployed somewhere
OLD = "0003"

# how long an index may take to be built depends on the archive; nobody waits for it
_EXCLUDED = ["--exclude", "require-statement-timeout"]


@pytest.fixture(scope="module")
def statements() -> str:
    written = io.StringIO()
    config = alembic_config()
    config.output_buffer = written
    command.upgrade(config, f"{OLD}:head", sql=True)
    return written.getvalue()


def test_a_linter_has_nothing_against_the_statements(statements: str) -> None:
    """Squawk knows what locks a table for long (https://squawkhq.com/docs/rules)."""
    squawk = shutil.which("squawk", path=f"{sys.prefix}/bin")
    assert squawk is not None, "pip install squawk-cli"
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_verdicts_known_by_model" in statements
    checked = subprocess.run(
        [squawk, "--stdin-filepath", "upgrade.sql", "--pg-version", "14.0", *_EXCLUDED],
        input=statements,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_transaction_waits_for_one_table_with_another_one_locked(statements: str) -> None:
    """With writers that never pause each try would end in a deadlock, and the upgrade would never end."""
    looked_at = 0
    for transaction in re.split(r"^(?:BEGIN|COMMIT);$", statements, flags=re.MULTILINE):
        made = set(re.findall(r"CREATE TABLE (\w+)", transaction))
        locked = set(re.findall(r"(?:ALTER TABLE|REFERENCES) (\w+)", transaction)) - made
        at_once = re.findall(r"LOCK TABLE ([\w, ]+) IN ACCESS EXCLUSIVE MODE", transaction)
        assert len(locked) < 2 or (at_once and set(at_once[0].split(", ")) == locked), transaction
        looked_at += bool(locked)
    assert looked_at > 10
