"""Which schema a database has, and which one this program needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from jobs.errors import UNFINISHED_COPY, CopyUnfinished, SchemaTooNew
from jobs.sql.database import reading


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaStatus:
    """A database's revision beside the program's."""

    #: None where no revision was applied: the database is empty
    revision: str | None
    #: what this program needs
    head: str
    #: revisions that are still to be applied, in their order
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        return not self.pending

    @property
    def is_empty(self) -> bool:
        return self.revision is None


def schema_status(engine: Engine) -> SchemaStatus:
    """How the database stands. Raises SchemaTooNew for a revision that this program does not know, CopyUnfinished."""
    with reading(engine) as connection:
        return status_of(connection)


def status_of(connection: Connection) -> SchemaStatus:
    """The same, in the transaction of the caller."""
    return status_of_revision(MigrationContext.configure(connection).get_current_revision())


def status_of_revision(revision: str | None) -> SchemaStatus:
    """How a database of this revision stands."""
    scripts = ScriptDirectory.from_config(alembic_config())
    head = scripts.get_current_head()
    assert head is not None  # there are revisions  # noqa: S101
    if revision is not None and revision.startswith(UNFINISHED_COPY):
        raise CopyUnfinished
    try:
        if revision is not None:
            scripts.get_revision(revision)
    except CommandError:
        raise SchemaTooNew(str(revision)) from None
    pending = [script.revision for script in scripts.iterate_revisions(head, revision or "base")]
    return SchemaStatus(revision=revision, head=head, pending=tuple(reversed(pending)))


def alembic_config() -> Config:
    """How Alembic finds the revisions; it still needs a connection."""
    config = Config()
    # ConfigParser reads % as the start of a substitution
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
