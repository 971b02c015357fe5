"""Who hosts which model version where: rows that dispatchers keep alive, by the database's clock.

A model is hosted once on a cluster and used by all its dispatchers, so that nobody alone knows when it may go: it
goes when no dispatcher keeps a row for it any more. Rows also tell people why jobs of a model wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, delete, func, insert, literal, select

from jobs.domain import Fingerprint
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import hosted_models
from jobs.stored_text import storable


class HostingState(StrEnum):
    """How far a dispatcher got with a model that jobs need."""

    #: it answers
    READY = "ready"
    #: it is being brought up
    STARTING = "starting"
    #: it is hosted until no shard of it is under way any more
    LEAVING = "leaving"
    #: this dispatcher does not host it; the note says why
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostedModel:
    """A model version, as one dispatcher sees it."""

    fingerprint: Fingerprint
    state: HostingState
    #: what people should know
    note: str | None = None


class HostedModels:
    """The rows of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def renew(self, cluster: str, dispatcher: str, models: Iterable[HostedModel], lease_s: float) -> None:
        """Make these models all that this dispatcher hosts, or refuses, on this cluster, for so many seconds."""
        mine = (hosted_models.c.cluster == cluster) & (hosted_models.c.dispatcher == dispatcher)
        expires_at = self._clock() + literal(lease_s)
        with writing(self._engine) as connection:
            connection.execute(delete(hosted_models).where(mine))
            for model in models:
                connection.execute(
                    insert(hosted_models).values(
                        cluster=cluster,
                        dispatcher=dispatcher,
                        fingerprint=model.fingerprint,
                        state=model.state.value,
                        note=storable(model.note),
                        expires_at=expires_at,
                    )
                )

    def leave(self, cluster: str, dispatcher: str) -> None:
        """This dispatcher hosts nothing there any more."""
        self.renew(cluster, dispatcher, (), 0.0)

    def held(self, cluster: str) -> frozenset[Fingerprint]:
        """Fingerprints that some dispatcher hosts on this cluster, or brings up."""
        return frozenset(self._fingerprints(cluster, alive=True))

    def abandoned(self, cluster: str) -> frozenset[Fingerprint]:
        """Fingerprints that dispatchers which vanished hosted on this cluster, and nobody hosts now."""
        return frozenset(self._fingerprints(cluster, alive=False)) - self.held(cluster)

    def forget(self, cluster: str, fingerprints: Collection[Fingerprint]) -> None:
        """Drop what vanished dispatchers left of these models."""
        with writing(self._engine) as connection:
            connection.execute(
                delete(hosted_models).where(
                    hosted_models.c.cluster == cluster,
                    hosted_models.c.fingerprint.in_(sorted(fingerprints)),
                    hosted_models.c.expires_at < self._clock(),
                )
            )

    def ready(self, fingerprints: Collection[Fingerprint]) -> frozenset[Fingerprint]:
        """Those of these models that answer somewhere."""
        wanted = select(hosted_models.c.fingerprint).where(
            hosted_models.c.fingerprint.in_(sorted(fingerprints)),
            hosted_models.c.state == HostingState.READY.value,
            hosted_models.c.expires_at >= self._clock(),
        )
        with reading(self._engine) as connection:
            return frozenset(connection.execute(wanted).scalars())

    def obstacles(self, fingerprints: Collection[Fingerprint]) -> dict[Fingerprint, str]:
        """Why jobs of these models wait, as far as a dispatcher knows: none where the model is ready somewhere.

        A model that is being brought up anywhere is not refused.
        """
        wanted = (
            select(hosted_models.c.fingerprint, hosted_models.c.state, func.min(hosted_models.c.note).label("note"))
            .where(hosted_models.c.fingerprint.in_(sorted(fingerprints)), hosted_models.c.expires_at >= self._clock())
            .group_by(hosted_models.c.fingerprint, hosted_models.c.state)
        )
        found: dict[Fingerprint, dict[str, str]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(wanted):
                found.setdefault(row.fingerprint, {})[row.state] = row.note or f"its model is {row.state}"
        order = (HostingState.STARTING, HostingState.LEAVING, HostingState.REFUSED)
        return {
            fingerprint: next(notes[state] for state in order if state in notes)
            for fingerprint, notes in found.items()
            if HostingState.READY not in notes
        }

    def _fingerprints(self, cluster: str, *, alive: bool) -> Sequence[Fingerprint]:
        expiry = hosted_models.c.expires_at
        wanted = select(hosted_models.c.fingerprint).where(
            hosted_models.c.cluster == cluster,
            hosted_models.c.state != HostingState.REFUSED.value,
            expiry >= self._clock() if alive else expiry < self._clock(),
        )
        with reading(self._engine) as connection:
            return connection.execute(wanted).scalars().all()
