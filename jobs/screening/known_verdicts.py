"""The question for known verdicts: one query for each shard, answered from one small index on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, Engine, Row, Select, String, column, select, text, true, union_all, values

from jobs.domain import Fingerprint, ImageRef, Lease, Verdict
from jobs.sql.database import reading
from jobs.sql.rows import hash_key, model_key, verdict_from_row
from jobs.sql.tables import jobs, verdicts

#: candidates that are looked at for each image; where a whole archive has files of one size, more would be of no use
_MOST_PER_IMAGE = 4
# as the partial index has it, so that both databases see that they may use it
_ORIGINAL = text("verdicts.score IS NOT NULL AND NOT verdicts.reused")


class KnownVerdicts:
    """What earlier jobs found, as far as it may be of use for a shard.

    Workers have no database: the candidates travel with the lease. Equal bytes have equal sizes, so the verdicts of
    images of the same size are all that can be needed; the worker compares ETags before it downloads, and sha256
    afterwards. An image whose size the manifest does not say is not looked up.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def recall(self, lease: Lease) -> Lease:
        """The lease with what is known about its images; as it is where the job wants all of them scored anew."""
        wanted = [entry for entry in lease.entries if entry.size is not None]
        if lease.rescore or not wanted:
            return lease
        with reading(self._engine) as connection:
            # what another project has screened is not told, not even by how soon a job is done
            known = known_statement(lease.model.fingerprint, wanted, lateral=connection.dialect.name == "postgresql")
            rows = connection.execute(known.where(jobs.c.project == lease.project))
            found = {(row.job_id, row.ordinal): _known(row) for row in rows}
        return replace(lease, known=_first_of_each(found.values()))


def known_statement(fingerprint: Fingerprint, entries: Sequence[ImageRef], *, lateral: bool) -> Select[Any]:
    """Verdicts by this model of images with the same key and size first, then of any with the same size.

    `lateral`: the database has LATERAL. PostgreSQL else may read all verdicts of the model, even once for each job, as
    long as its statistics know little of them; SQLite, which has none, takes the index for each image in any case.
    """
    wanted = (
        values(column("size", BigInteger), column("key_hash", String))
        .data([(entry.size, hash_key(entry.key)) for entry in entries])
        .cte("wanted")
    )
    sizes = select(wanted.c.size).distinct().subquery("sizes")
    limit = _MOST_PER_IMAGE * len(entries)

    def of(source: Any, *conditions: Any) -> Any:
        same = (verdicts.c.model_key == model_key(fingerprint)) & (verdicts.c.size == source.c.size)
        places = select(verdicts.c.job_id, verdicts.c.ordinal)
        if not lateral:
            found = places.select_from(source).join(verdicts, same).where(_ORIGINAL, *conditions).limit(limit)
            return select(found.subquery())
        # with a limit of its own it is asked for each row, and only so
        each = places.where(same, _ORIGINAL, *conditions).limit(limit).lateral()
        return select(select(each).select_from(source).join(each, true()).limit(limit).subquery())

    places = union_all(of(wanted, verdicts.c.key_hash == wanted.c.key_hash), of(sizes)).cte("places")
    places = places.prefix_with("MATERIALIZED", dialect="postgresql")  # once, not for each job
    return (
        select(verdicts, jobs.c.model_fingerprint, jobs.c.reads_frozen)
        .select_from(places)
        .join(verdicts, (verdicts.c.job_id == places.c.job_id) & (verdicts.c.ordinal == places.c.ordinal))
        .join(jobs, jobs.c.id == verdicts.c.job_id)
        .where(jobs.c.model_fingerprint == fingerprint)
    )


def _known(row: Row[Any]) -> Verdict:
    """Older programs recorded the ETag that a listing had said: it may be that of other bytes than were read."""
    verdict = verdict_from_row(row)
    return verdict if row.reads_frozen else replace(verdict, etag=None)


def _first_of_each(found: Any) -> tuple[Verdict, ...]:
    """Without those that say the same as another one: same place, same bytes, same object, heatmap or none."""
    kept: dict[tuple[object, ...], Verdict] = {}
    for v in found:
        kept.setdefault((v.container, v.key, v.etag, v.version_id, v.sha256, v.map_uri is None), v)
    return tuple(kept.values())
