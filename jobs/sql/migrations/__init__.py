"""Bringing a database to the schema this program knows: Alembic, driven from the program."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

from jobs.errors import SchemaTooNew
from jobs.sql.database import reading, writing

# any number, the same for every nclscreen: two programs that start at once migrate one after the other
_ADVISORY_LOCK = 6_172_655_001


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision; does nothing when it is there. Raises SchemaTooNew."""
    if _is_current(engine):
        return
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_current(engine: Engine) -> bool:
    """Whether there is nothing to do. Raises SchemaTooNew."""
    scripts = ScriptDirectory.from_config(alembic_config())
    with reading(engine) as connection:
        current = _revision(connection)
    if current is None:
        return False
    try:
        scripts.get_revision(current)
    except CommandError:
        raise SchemaTooNew(current) from None
    return current == scripts.get_current_head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def alembic_config() -> Config:
    """How Alembic finds the revisions; it still needs a connection."""
    config = Config()
    # ConfigParser reads % as the start of a substitution
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
