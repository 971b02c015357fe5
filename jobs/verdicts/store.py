"""The verdicts of one database, as everybody asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Engine, select

from jobs.batches import batches
from jobs.domain import Fingerprint, JobId, ModelRef, Verdict, VerdictRef
from jobs.domain.access import ProjectName
from jobs.domain.pages import Page
from jobs.errors import VerdictNotFound
from jobs.sql.database import reading
from jobs.sql.tables import jobs, verdicts
from jobs.verdicts.cases import Case, CaseFilter, page_of_cases
from jobs.verdicts.filters import VerdictFilter
from jobs.verdicts.finding import find_image
from jobs.verdicts.listing import Listing
from jobs.verdicts.replay import Replay, Replayed, replay
from jobs.verdicts.rows import FoundVerdict, found_from_row, joined
from jobs.verdicts.statements import count_statement
from jobs.verdicts.summaries import error_counts, score_histogram, untestable_counts

#: cases that are asked for at once
_CASES = 1000


class VerdictStore:
    """Filtered lists, single verdicts and summaries."""

    def __init__(self, engine: Engine, *, project: ProjectName | None = None) -> None:
        """`project`: verdicts of others are not there; None: those of all."""
        self._engine = engine
        self._project = project

    def listing(self, wanted: VerdictFilter, limit: int | None = None, cursor: str | None = None) -> Listing:
        """Verdicts that pass the filter, all or so many, in flat memory. Raises InvalidCursor."""
        return Listing(self._engine, self._of_project(wanted), limit, cursor)

    def count(self, wanted: VerdictFilter) -> int:
        """How many pass the filter: all of them are looked at."""
        with reading(self._engine) as connection:
            return connection.execute(count_statement(self._of_project(wanted))).scalar_one()

    def stream(self, wanted: VerdictFilter, limit: int | None = None) -> Iterator[FoundVerdict]:
        """The same from the beginning, for those who ask for no rest."""
        return iter(self.listing(wanted, limit))

    def page(self, wanted: VerdictFilter, limit: int = 100, cursor: str | None = None) -> Page[FoundVerdict]:
        """The same as one page, and the cursor of the next one. Raises InvalidCursor."""
        listing = self.listing(wanted, limit, cursor)
        return Page(items=tuple(listing), next_cursor=listing.next_cursor)

    def _of_project(self, wanted: VerdictFilter) -> VerdictFilter:
        return wanted if self._project is None else replace(wanted, project=self._project)

    def of_job(self, job_id: JobId) -> Iterator[FoundVerdict]:
        """Every verdict of a job, in manifest order."""
        return self.stream(VerdictFilter(job_id=job_id))

    def batches(self, job_id: JobId, size: int = 2000) -> Iterator[list[Verdict]]:
        """The same in lists of `size`."""
        return batches((found.verdict for found in self.of_job(job_id)), size)

    def find(self, job_id: JobId, said: str) -> FoundVerdict:
        """The image of a job that a person means; see `find_image`. Raises VerdictNotFound, AmbiguousImage."""
        return find_image(self._engine, job_id, said)

    def at(self, ref: VerdictRef) -> FoundVerdict:
        """The verdict of this reference. Raises VerdictNotFound."""
        wanted = joined().where(verdicts.c.job_id == ref.job_id, verdicts.c.ordinal == ref.ordinal)
        if self._project is not None:
            wanted = wanted.where(jobs.c.project == self._project)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            raise VerdictNotFound(ref.job_id, str(ref.ordinal))
        return found_from_row(row)

    def ranked_models(self) -> list[ModelRef]:
        """The models whose scores meet in a ranking over all jobs, by name."""
        wanted = select(jobs.c.model_name, jobs.c.model_fingerprint).where(jobs.c.flagged > 0).distinct()
        if self._project is not None:
            wanted = wanted.where(jobs.c.project == self._project)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(jobs.c.model_name, jobs.c.model_fingerprint)).all()
        return [ModelRef(name=row.model_name, fingerprint=Fingerprint(row.model_fingerprint)) for row in rows]

    def cases(self, wanted: CaseFilter, limit: int = 100, cursor: str | None = None) -> Page[Case]:
        """Up to `limit` cases of a job, and the cursor of the next page. Raises InvalidCursor."""
        with reading(self._engine) as connection:
            return page_of_cases(connection, wanted, limit, cursor)

    def all_cases(self, job_id: JobId) -> Iterator[Case]:
        """All of them, by name."""
        wanted, cursor = CaseFilter(job_id=job_id, by_name=True), None
        while True:
            page = self.cases(wanted, _CASES, cursor)
            yield from page.items
            if (cursor := page.next_cursor) is None:
                return

    def replay(self, job_id: JobId, rule: Replay) -> Replayed:
        """What another rule would flag in a job."""
        with reading(self._engine) as connection:
            return replay(connection, job_id, rule)

    def score_histogram(self, job_id: JobId) -> list[int]:
        """Images per score bin: `HISTOGRAM_BINS` bins over [0, 1], the last one closed."""
        with reading(self._engine) as connection:
            return score_histogram(connection, job_id)

    def untestable_counts(self, job_id: JobId) -> dict[str, int]:
        """Images that could not be tested for a kind of evidence, by kind; only where there are any."""
        with reading(self._engine) as connection:
            return untestable_counts(connection, job_id)

    def error_counts(self, job_id: JobId) -> dict[str, int]:
        """Images per error code, most frequent first."""
        with reading(self._engine) as connection:
            return error_counts(connection, job_id)
