"""The registry in SQL: which model versions there are, and which alias names which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select
from sqlalchemy.exc import IntegrityError

from jobs.domain import Fingerprint
from jobs.domain.registry import Alias, AliasMove, RegisteredVersion
from jobs.registry.errors import AliasMoved, AmbiguousVersion, NothingToRollBack, VersionDiffers, VersionNotFound
from jobs.sql.database import reading, writing
from jobs.sql.model_tables import alias_moves, model_versions
from jobs.sql.rows import Clock, database_clock
from jobs.stored_text import is_storable, storable

_MOST = 1000


class ModelRegistry:
    """The versions and aliases of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def register(self, version: RegisteredVersion) -> RegisteredVersion:
        """Write a version down, once; the same again is as it was. Raises VersionDiffers."""
        row = {name: getattr(version, name) for name in _FIELDS} | {"metrics": dict(version.metrics)}
        row["canary"] = None if version.canary is None else dict(version.canary)
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(model_versions).values(**row, created_at=self._clock()))
        except IntegrityError:
            pass  # it is there
        found = self.get(version.fingerprint)
        if found.weights_sha256 != version.weights_sha256:
            raise VersionDiffers(version.fingerprint, "file of weights")
        return found

    def get(self, fingerprint: Fingerprint) -> RegisteredVersion:
        """Raises VersionNotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(model_versions).where(model_versions.c.fingerprint == fingerprint)
            ).one_or_none()
        if row is None:
            raise VersionNotFound(fingerprint)
        return _version(row)

    def canary(self, fingerprint: Fingerprint) -> dict[str, Any] | None:
        """What the version said of the canary pictures; None where it is not registered, or was not asked."""
        wanted = select(model_versions.c.canary).where(model_versions.c.fingerprint == fingerprint)
        with reading(self._engine) as connection:
            found = connection.execute(wanted).scalar_one_or_none()
        return None if found is None else dict(found)

    def find(self, said: str) -> RegisteredVersion:
        """By alias, fingerprint, or the beginning of one. Raises VersionNotFound, AmbiguousVersion."""
        if said in set(Alias):
            move = self.current(Alias(said))
            if move is None or move.fingerprint is None:
                raise VersionNotFound(said)
            return self.get(move.fingerprint)
        if not said or not is_storable(said):
            raise VersionNotFound(said)
        begins = model_versions.c.fingerprint.startswith(said, autoescape=True)
        with reading(self._engine) as connection:
            rows = connection.execute(select(model_versions).where(begins).limit(2)).all()
        if not rows:
            raise VersionNotFound(said)
        if len(rows) > 1:
            raise AmbiguousVersion(said)
        return _version(rows[0])

    def all(self) -> list[RegisteredVersion]:
        """The newest first."""
        wanted = select(model_versions).order_by(model_versions.c.created_at.desc(), model_versions.c.fingerprint)
        with reading(self._engine) as connection:
            return [_version(row) for row in connection.execute(wanted.limit(_MOST))]

    def current(self, alias: Alias) -> AliasMove | None:
        """The move that holds; None where there was none."""
        with reading(self._engine) as connection:
            return _last(connection, alias)

    def champion(self) -> Fingerprint | None:
        """The fingerprint that new jobs are pinned to; None where nobody said."""
        move = self.current(Alias.CHAMPION)
        return None if move is None else move.fingerprint

    def history(self, alias: Alias) -> list[AliasMove]:
        """All moves, the first one first."""
        wanted = select(alias_moves).where(alias_moves.c.alias == alias.value).order_by(alias_moves.c.number)
        with reading(self._engine) as connection:
            return [_move(row) for row in connection.execute(wanted)]

    def at(self, alias: Alias, moment: float) -> AliasMove | None:
        """The move that held at a moment, in seconds since the epoch; None before the first one."""
        before = [move for move in self.history(alias) if move.moved_at <= moment]
        return before[-1] if before else None

    def move(
        self,
        alias: Alias,
        fingerprint: Fingerprint | None,
        *,
        actor: str,
        expected: int,
        reason: str | None = None,
        run_id: str | None = None,
    ) -> AliasMove:
        """Have the alias name another version, which is registered, or nothing.

        `expected`: the number of the move that its mover saw hold, 0 for none. Raises AliasMoved where another one
        holds, VersionNotFound.
        """
        if fingerprint is not None:
            self.get(fingerprint)
        row = {"fingerprint": fingerprint, "actor": storable(actor), "reason": storable(reason), "run_id": run_id}
        try:
            with writing(self._engine) as connection:
                last = _last(connection, alias)
                if (0 if last is None else last.number) == expected:
                    number = {"alias": alias.value, "number": expected + 1}
                    connection.execute(insert(alias_moves).values(**number, **row, moved_at=self._clock()))
                    found = _last(connection, alias)
                    assert found is not None  # noqa: S101 - just written
                    return found
        except IntegrityError:
            pass  # somebody was first
        held = self.current(alias)
        raise AliasMoved(alias.value, None if held is None else held.fingerprint)

    def roll_back(self, alias: Alias, *, actor: str, reason: str | None = None) -> AliasMove:
        """Have it name again what it named before, by a new move. Raises NothingToRollBack, AliasMoved."""
        moves = self.history(alias)
        standing = _standing(moves)
        if len(standing) < 2:
            raise NothingToRollBack(alias.value)
        return self.move(alias, standing[-2], actor=actor, expected=moves[-1].number, reason=reason)


_FIELDS = (
    "fingerprint",
    "name",
    "version",
    "weights_sha256",
    "weights_uri",
    "threshold",
    "parent",
    "run_id",
    "snapshot",
    "code_version",
)


def _standing(moves: Sequence[AliasMove]) -> list[Fingerprint]:
    """What the alias would name one rollback after the other, the last one now: a move back undoes the one before."""
    standing: list[Fingerprint] = []
    for move in moves:
        if move.fingerprint is None or (standing and standing[-1] == move.fingerprint):
            continue
        if len(standing) > 1 and standing[-2] == move.fingerprint:
            standing.pop()
        else:
            standing.append(move.fingerprint)
    return standing


def _last(connection: Connection, alias: Alias) -> AliasMove | None:
    wanted = select(alias_moves).where(alias_moves.c.alias == alias.value).order_by(alias_moves.c.number.desc())
    row = connection.execute(wanted.limit(1)).one_or_none()
    return None if row is None else _move(row)


def _version(row: Row[Any]) -> RegisteredVersion:
    values = {name: getattr(row, name) for name in _FIELDS}
    return RegisteredVersion(**values, metrics=row.metrics, canary=row.canary, created_at=row.created_at)


def _move(row: Row[Any]) -> AliasMove:
    return AliasMove(
        alias=Alias(row.alias),
        number=row.number,
        fingerprint=row.fingerprint,
        actor=row.actor,
        reason=row.reason,
        run_id=row.run_id,
        moved_at=row.moved_at,
    )
