"""Projects: what jobs and keys belong to."""

from __future__ import annotations

import re

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.access.errors import InvalidProject, ProjectNotFound
from jobs.domain.access import DEFAULT_PROJECT, Project, ProjectName
from jobs.domain.places import ANY_BUCKET, Places
from jobs.sql.access_tables import projects
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


class ProjectStore:
    """The projects of one database. The default one is always there."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def create(self, name: str, places: Places = ANY_BUCKET) -> Project:
        """Raises InvalidProject for a name that cannot be one, or is taken."""
        if not _NAME.fullmatch(name):
            raise InvalidProject(name, "write small letters, digits and hyphens, up to 63")
        if name == DEFAULT_PROJECT:
            raise InvalidProject(name, "it is always there")
        try:
            self._insert(name, places)
        except IntegrityError:
            raise InvalidProject(name, "it is there already") from None
        return Project(name=ProjectName(name), places=places)

    def limit(self, name: str, places: Places) -> Project:
        """Change where what its jobs read and write may be; it counts for jobs from now on. Raises ProjectNotFound."""
        found = self.get(name)
        with writing(self._engine) as connection:
            changed = update(projects).where(projects.c.name == name).values(places=_written(places))
            known = connection.execute(changed).rowcount
        if not known:  # the default one, for the first time
            self._insert(name, places)
        return Project(name=found.name, places=places)

    def get(self, name: str) -> Project:
        """Raises ProjectNotFound."""
        for project in self.all():
            if project.name == name:
                return project
        raise ProjectNotFound(name)

    def all(self) -> list[Project]:
        """By name, the default one first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(projects.c.name, projects.c.places).order_by(projects.c.name)).all()
        found = {row.name: Project(name=ProjectName(row.name), places=_read(row.places)) for row in rows}
        default = found.pop(DEFAULT_PROJECT, Project(name=DEFAULT_PROJECT))
        return [default, *found.values()]

    def _insert(self, name: str, places: Places) -> None:
        with writing(self._engine) as connection:
            connection.execute(insert(projects).values(name=name, places=_written(places), created_at=self._clock()))


def _written(places: Places) -> list[str] | None:
    return None if places.beginnings is None else list(places.beginnings)


def _read(beginnings: list[str] | None) -> Places:
    return Places(None if beginnings is None else tuple(beginnings))
