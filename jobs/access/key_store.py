"""API keys: made, known again, revoked. What is kept of a key opens nothing."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Any

from sqlalchemy import Engine, Row, exists, insert, literal, or_, select, update

from jobs.access.errors import KeyNotFound, KeyRefused
from jobs.access.key_text import KeyText
from jobs.domain.access import ApiKey, Caller, ProjectName, Scope
from jobs.sql.access_tables import api_keys
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock
from jobs.stored_text import storable

#: seconds: the time of the last use is written no more often than that
_USE_STEP_S = 60.0


class KeyStore:
    """The keys of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def create(
        self, project: ProjectName, name: str, scopes: Collection[Scope], lifetime_s: float | None = None
    ) -> tuple[ApiKey, KeyText]:
        """A new key, and its text, which nobody can find out again. `lifetime_s`: None until it is revoked."""
        key = KeyText.new()
        expires = None if lifetime_s is None else self._clock() + literal(lifetime_s)
        with writing(self._engine) as connection:
            connection.execute(
                insert(api_keys).values(
                    id=key.id,
                    sha256=key.sha256,
                    project=project,
                    name=storable(name),
                    scopes=sorted(scope.value for scope in scopes),
                    created_at=self._clock(),
                    expires_at=expires,
                )
            )
        return self.get(key.id), key

    def get(self, key_id: str, project: ProjectName | None = None) -> ApiKey:
        """`project`: None for that of any. Raises KeyNotFound."""
        for key in self.all(project):
            if key.id == key_id:
                return key
        raise KeyNotFound(key_id)

    def all(self, project: ProjectName | None = None) -> list[ApiKey]:
        """The newest first, those that were revoked among them."""
        wanted = select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
        if project is not None:
            wanted = wanted.where(api_keys.c.project == project)
        with reading(self._engine) as connection:
            return [_key(row) for row in connection.execute(wanted)]

    def revoke(self, key_id: str, project: ProjectName | None = None) -> ApiKey:
        """Let nobody in with it any more, nor with sessions that it opened. Raises KeyNotFound."""
        found = self.get(key_id, project)
        with writing(self._engine) as connection:
            gone = update(api_keys).where(api_keys.c.id == found.id, api_keys.c.revoked_at.is_(None))
            connection.execute(gone.values(revoked_at=self._clock()))
        return self.get(key_id)

    def any_in_use(self) -> bool:
        """Whether there is a key that lets somebody in: then nobody comes in without one."""
        alive = (api_keys.c.revoked_at.is_(None), self._unexpired())
        with reading(self._engine) as connection:
            return bool(connection.execute(select(exists().where(*alive))).scalar_one())

    def caller(self, text: str) -> Caller:
        """Who comes with this key. Raises KeyRefused, which does not say whether there is such a key."""
        key = KeyText.parse(text)
        row = self._alive(key.id)
        if row is None or not hmac.compare_digest(row.sha256, key.sha256):
            raise KeyRefused("it is not known here, was revoked or has expired")
        self._note_use(row)
        return _caller(row)

    def caller_of(self, key_id: str) -> Caller:
        """Who opened a session with this key. Raises KeyRefused."""
        row = self._alive(key_id)
        if row is None:
            raise KeyRefused("the key that opened the session was revoked or has expired")
        return _caller(row)

    def _alive(self, key_id: str) -> Row[Any] | None:
        wanted = select(api_keys, self._clock().label("now")).where(
            api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None), self._unexpired()
        )
        with reading(self._engine) as connection:
            return connection.execute(wanted).one_or_none()

    def _unexpired(self) -> Any:
        return or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > self._clock())

    def _note_use(self, row: Row[Any]) -> None:
        if row.last_used_at is not None and row.now - row.last_used_at < _USE_STEP_S:
            return
        with writing(self._engine) as connection:
            connection.execute(update(api_keys).where(api_keys.c.id == row.id).values(last_used_at=self._clock()))


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        project=ProjectName(row.project),
        name=row.name,
        scopes=_scopes(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _caller(row: Row[Any]) -> Caller:
    return Caller(name=row.name, scopes=_scopes(row), project=ProjectName(row.project), key_id=row.id)


def _scopes(row: Row[Any]) -> frozenset[Scope]:
    return frozenset(Scope(scope) for scope in row.scopes)
