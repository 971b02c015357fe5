"""The drawings of one database: kept once, whoever drew them, and found by what a review names."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.dialects import postgresql, sqlite

from jobs.domain import Review, VerdictRef
from jobs.domain.drawings import Drawing, DrawingKind, DrawingName
from jobs.reviews.drawn import last_drawn
from jobs.reviews.errors import DrawingNotFound
from jobs.reviews.review_rows import review_from_row
from jobs.sql.database import reading
from jobs.sql.review_tables import drawings
from jobs.sql.tables import reviews


class DrawingStore:
    """Reads what people drew; a review is written with its drawing, in one transaction (`ReviewStore.add`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, ref: VerdictRef, sha256: str | None = None) -> Drawing:
        """The one that holds (`last_drawn`), or the one of this hash that some review of the verdict names.

        Raises DrawingNotFound.
        """
        said = self._said(ref)
        review = last_drawn(said)
        if sha256 is not None:
            named = (each for each in said if each.drawing is not None and each.drawing.sha256 == sha256)
            review = next(named, None)
        if review is None or review.drawing is None:
            raise DrawingNotFound(str(ref))
        return self.get(review.drawing)

    def holding(self, ref: VerdictRef) -> Review | None:
        """The review whose drawing holds."""
        return last_drawn(self._said(ref))

    def get(self, name: DrawingName) -> Drawing:
        """Whatever became of the job it was drawn in. Raises DrawingNotFound."""
        wanted = select(drawings).where(drawings.c.kind == name.kind.value, drawings.c.sha256 == name.sha256)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            raise DrawingNotFound(name.sha256)
        return _drawing(row)

    def _said(self, ref: VerdictRef) -> list[Review]:
        wanted = select(reviews).where(reviews.c.job_id == ref.job_id, reviews.c.ordinal == ref.ordinal)
        with reading(self._engine) as connection:
            return [review_from_row(row) for row in connection.execute(wanted.order_by(reviews.c.number))]


def keep_drawing(connection: Connection, drawing: Drawing) -> None:
    """Keep it, if nobody has drawn the same before."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"kind": drawing.kind.value, "sha256": drawing.sha256, "width": drawing.width, "height": drawing.height}
    connection.execute(dialect.insert(drawings).values(**row, png=drawing.png).on_conflict_do_nothing())


def _drawing(row: Row[Any]) -> Drawing:
    kind = DrawingKind(row.kind)
    return Drawing(kind=kind, sha256=row.sha256, width=row.width, height=row.height, png=bytes(row.png))
