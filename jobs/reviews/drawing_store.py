"""The drawings of one database: kept once, whoever drew them, and found by what a review names."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.dialects import postgresql, sqlite

from jobs.domain import VerdictRef
from jobs.domain.drawings import Drawing, DrawingKind, DrawingName
from jobs.reviews.errors import DrawingNotFound
from jobs.reviews.review_rows import drawing_name
from jobs.sql.database import reading
from jobs.sql.review_tables import drawings
from jobs.sql.tables import reviews


class DrawingStore:
    """Reads what people drew; a review is written with its drawing, in one transaction (`ReviewStore.add`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, ref: VerdictRef, sha256: str | None = None) -> Drawing:
        """That of the review that holds, or the one of this hash that some review of the verdict names.

        Raises DrawingNotFound.
        """
        said = select(reviews.c.drawing_kind, reviews.c.drawing)
        said = said.where(reviews.c.job_id == ref.job_id, reviews.c.ordinal == ref.ordinal)
        if sha256 is not None:
            said = said.where(reviews.c.drawing == sha256)
        with reading(self._engine) as connection:
            row = connection.execute(said.order_by(reviews.c.number.desc()).limit(1)).one_or_none()
        name = None if row is None else drawing_name(row.drawing_kind, row.drawing)
        if name is None:
            raise DrawingNotFound(str(ref))
        return self.get(name)

    def get(self, name: DrawingName) -> Drawing:
        """Whatever became of the job it was drawn in. Raises DrawingNotFound."""
        wanted = select(drawings).where(drawings.c.kind == name.kind.value, drawings.c.sha256 == name.sha256)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            raise DrawingNotFound(name.sha256)
        return _drawing(row)


def keep_drawing(connection: Connection, drawing: Drawing) -> None:
    """Keep it, if nobody has drawn the same before."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"kind": drawing.kind.value, "sha256": drawing.sha256, "width": drawing.width, "height": drawing.height}
    connection.execute(dialect.insert(drawings).values(**row, png=drawing.png).on_conflict_do_nothing())


def _drawing(row: Row[Any]) -> Drawing:
    kind = DrawingKind(row.kind)
    return Drawing(kind=kind, sha256=row.sha256, width=row.width, height=row.height, png=bytes(row.png))
