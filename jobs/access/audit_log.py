"""The audit log: who did what when. Only added to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, insert, select

from jobs.domain.access import Caller, ProjectName
from jobs.domain.pages import Page, decode_cursor, encode_cursor, filter_digest
from jobs.sql.access_tables import audit_log
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock
from jobs.stored_text import storable

_LONGEST = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One thing that was done, or refused."""

    id: int
    #: seconds since the epoch
    at: float
    project: ProjectName | None
    actor: str
    key_id: str | None
    #: the operation
    action: str
    #: what it was done to: an address
    subject: str
    #: of the answer, as in HTTP
    status: int


class AuditLog:
    """The log of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, caller: Caller, action: str, subject: str, status: int) -> None:
        """Write one entry."""
        with writing(self._engine) as connection:
            connection.execute(
                insert(audit_log).values(
                    at=self._clock(),
                    project=caller.project,
                    actor=storable(caller.name),
                    key_id=caller.key_id,
                    action=action,
                    subject=storable(subject, limit=_LONGEST),
                    status=status,
                )
            )

    def page(self, project: ProjectName | None = None, limit: int = 100, cursor: str | None = None) -> Page[AuditEntry]:
        """The newest first, of one project or of all. Raises InvalidCursor."""
        digest = filter_digest({"audit": project})
        wanted = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit + 1)
        if project is not None:
            wanted = wanted.where(audit_log.c.project == project)
        if cursor is not None:
            wanted = wanted.where(audit_log.c.id < decode_cursor(cursor, digest, (int,))[0])
        with reading(self._engine) as connection:
            found = [_entry(row) for row in connection.execute(wanted)]
        if len(found) <= limit:
            return Page(items=tuple(found))
        return Page(items=tuple(found[:limit]), next_cursor=encode_cursor((found[limit - 1].id,), digest))


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        project=None if row.project is None else ProjectName(row.project),
        actor=row.actor,
        key_id=row.key_id,
        action=row.action,
        subject=row.subject,
        status=row.status,
    )
