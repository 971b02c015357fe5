"""The database's schema: how it stands beside this program, and bringing it up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.masking import masked
from jobs.sql.backups import Backup, restore, snapshot
from jobs.sql.migrations import SchemaStatus, schema_status, upgrade
from jobs.sql.migrations.sessions import shares_sessions
from ncl_model.writing import writing
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseStatus:
    """What `db check` says."""

    #: without the password
    url: str
    schema: SchemaStatus
    #: the program brings it up to date itself, at its next start
    automatic: bool
    #: a pooler deals out connections by the transaction
    pooled: bool

    @property
    def ok(self) -> bool:
        """Whether every command can work on it."""
        return self.schema.is_current or self.automatic


def database_status(wiring: Wiring) -> DatabaseStatus:
    """How the database stands; nothing is changed. Raises DatabaseUnusable, SchemaTooNew."""
    with wiring.telling_of_the_database():
        engine = wiring.unchecked_engine
        schema = schema_status(engine)
        server = engine.dialect.name == "postgresql"
        return DatabaseStatus(
            url=masked(engine.url.render_as_string(hide_password=True)),
            schema=schema,
            automatic=not server or schema.is_empty,
            pooled=server and shares_sessions(engine),
        )


def upgrade_database(wiring: Wiring, tell: Callable[[str], None]) -> SchemaStatus:
    """Bring the schema up to date, beside whatever works on it; gives how it was before.

    Raises DatabaseUnusable, SchemaTooNew, SessionShared.
    """
    with wiring.telling_of_the_database():
        return upgrade(wiring.unchecked_engine, tell)


def keep_database(wiring: Wiring, path: Path, *, force: bool) -> Backup:
    """Make one file of the database, beside whatever works on it.

    Raises BackupRefused, DatabaseUnusable, OutputUnwritable, SchemaTooNew.
    """
    with wiring.telling_of_the_database(), writing(path):
        return snapshot(wiring.unchecked_engine, path, force=force)


def restore_database(wiring: Wiring, path: Path, *, force: bool) -> Backup:
    """Have the database hold what such a file holds. Raises BackupRefused, DatabaseUnusable, SchemaTooNew."""
    with wiring.telling_of_the_database():
        return restore(wiring.unchecked_engine, path, force=force)
