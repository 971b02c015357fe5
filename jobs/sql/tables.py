"""The SQL tables. Only this package's storage-of-record modules import them; the domain never does.

Times are seconds since the epoch (double precision), read from the database's own clock.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
    literal,
    text,
)

from jobs.domain.states import ShardState
from jobs.sql import access_tables as _access_tables  # noqa: F401 - whoever knows these tables knows those
from jobs.sql import model_tables as _model_tables  # noqa: F401
from jobs.sql import review_tables as _review_tables  # noqa: F401
from jobs.sql.metadata import ROOM_FOR_HEARTBEATS, RowId, partial_index
from jobs.sql.metadata import metadata as metadata  # noqa: PLC0414 - for others: with every table in it

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("state", String(32), nullable=False),
    Column("source", Text, nullable=False),
    Column("filters", JSON, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_fingerprint", String(64), nullable=False),
    Column("threshold", Double, nullable=False),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("scored", BigInteger, nullable=False, server_default="0"),
    Column("flagged", BigInteger, nullable=False, server_default="0"),
    Column("reused", BigInteger, nullable=False, server_default="0"),
    Column("failed", BigInteger, nullable=False, server_default="0"),
    Column("ignored", BigInteger, nullable=False, server_default="0"),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    # since when it is cleared out: of its verdicts those alone are there that people looked at; null = all are
    Column("verdicts_removed_at", Double),
    # what the submitter asked for beside the corpus
    Column("name", Text),
    Column("tags", JSON),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("confirm", Boolean, nullable=False, server_default=false()),
    Column("rescore", Boolean, nullable=False, server_default=false()),
    Column("trust_etags", Boolean, nullable=False, server_default=false()),
    # a list of local files may name files outside its own folder
    Column("allow_outside", Boolean, nullable=False, server_default=false()),
    # the ETags of its verdicts are those of the bytes that were read: not so in jobs of older programs
    Column("reads_frozen", Boolean, nullable=False, server_default=false()),
    Column("failure_ratio", Double, nullable=False, server_default="0.5"),
    Column("failure_sample", BigInteger, nullable=False, server_default="1000"),
    Column("webhook", Text),
    Column("report_prefix", Text),
    Column("retry_of", String(32)),
    Column("skip_bad_lines", Boolean, nullable=False, server_default=false()),
    # how the threshold was asked for, when it was by a false-positive rate
    Column("policy", JSON(none_as_null=True)),
    # heatmaps of near misses are kept from this score on
    Column("heatmaps_from", Double),
    # the threshold to which the job is being moved, and how that was asked for
    Column("reflag_to", Double),
    Column("reflag_policy", JSON(none_as_null=True)),
    # the submitter's own word for this request, and what the request was: the same again makes no second job
    Column("token", String(128)),
    Column("request_digest", String(64)),
    # what preparing found: objects looked at, bytes of the images whose size is known, images without one, bad lines
    Column("seen", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("unsized", BigInteger, nullable=False, server_default="0"),
    Column("bad_lines", BigInteger, nullable=False, server_default="0"),
    # the place in the source up to which its images are in shards
    Column("preparation_cursor", JSON(none_as_null=True)),
    # what the last try to prepare it met, while it waits for the next one
    Column("preparation_error", Text),
    # when shards of it were claimed last, 0 = never: the turn goes round among jobs of equal priority
    Column("claimed_at", Double, nullable=False, server_default="0"),
    # the completion report: since when it is to be written, what went wrong, where it is
    Column("report_due_at", Double),
    Column("report_error", Text),
    Column("report_uri", Text),
    # which images of `retry_of`; null = those that failed
    Column("retry_images", Text),
    # error codes of the images of `retry_of` that are tried again; null = all
    Column("retry_codes", JSON(none_as_null=True)),
    # a pattern that finds the case in a key
    Column("case_from", Text),
    # who may see it; see `jobs.access`
    Column("project", Text, nullable=False, server_default="default"),
    # where its images and its report may be; null = anywhere
    Column("places", JSON(none_as_null=True)),
    # share of its reviewed images on which a second person decides, too
    Column("second_look", Double, nullable=False, server_default="0"),
    # the span of the request that submitted it (W3C Trace Context), where traces are kept; see `jobs.spans`
    Column("traceparent", Text),
    Index("ix_jobs_state", "state"),
    # the order in which jobs are listed: all, and those of one project
    Index("ix_jobs_created_at_id", "created_at", "id"),
    Index("ix_jobs_project_created_at_id", "project", "created_at", "id"),
    Index("ix_jobs_token", "token", unique=True),
    # the jobs with shards to give out, in the order in which it is their turn
    Index(
        "ix_jobs_turn",
        "model_fingerprint",
        text("priority DESC"),
        "claimed_at",
        "id",
        sqlite_where=text("state IN ('ready', 'running')"),
        postgresql_where=text("state IN ('ready', 'running')"),
    ),
)

manifest_problems = Table(
    "manifest_problems",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
)

# whatever is slow and no shard, and who does it now; see `jobs.leased_work`
leased_work = Table(
    "leased_work",
    metadata,
    Column("id", RowId, Identity(), primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("state", Text, nullable=False),
    Column("priority", BigInteger, nullable=False, server_default="0"),
    # attempts that were started and failed on their own account; and those whose holder was never heard of again
    Column("attempt", BigInteger, nullable=False, server_default="0"),
    Column("vanished", BigInteger, nullable=False, server_default="0"),
    Column("not_before", Double, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("lease_expires_at", Double),
    Column("error", Text),
    # of what made it due, as in `jobs`
    Column("traceparent", Text),
    Index("ix_leased_work_kind_subject", "kind", "subject", unique=True),
    Index("ix_leased_work_job_id", "job_id"),
    Index(
        "ix_leased_work_queued",
        "kind",
        text("priority DESC"),
        "not_before",
        "id",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    # without the time: what is held is little, and prolonging a lease touches no index
    partial_index("ix_leased_work_leased", "kind", where="state = 'leased'"),
    postgresql_with=ROOM_FOR_HEARTBEATS,
)

# one row for each change of state that somebody wants to hear of; written in the transaction that makes the change
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("state", String(32), nullable=False),
    Column("changed_at", Double, nullable=False),
    # what is sent, the same at every attempt
    Column("body", Text, nullable=False),
    Column("delivered_at", Double),
    Column("given_up", Boolean, nullable=False, server_default=false()),
    Column("error", Text),
    Index("ix_webhook_deliveries_job_id", "job_id"),
)

# who works on this database; a row whose time stands still is of one that vanished
dispatchers = Table(
    "dispatchers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    # what its cluster lacks, while it does
    Column("lacks", Text),
    # shards in flight that it keeps to while a model is trained, and those of other times
    Column("shards_at_once", BigInteger),
    Column("shards_usual", BigInteger),
)

# which dispatcher hosts which model version on which cluster; a few rows, kept alive by their dispatchers
hosted_models = Table(
    "hosted_models",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("dispatcher", Text, primary_key=True),
    # see `jobs.registry.hosted_models.HostingState`
    Column("state", Text, nullable=False),
    Column("note", Text),
    Column("expires_at", Double, nullable=False),
)

shards = Table(
    "shards",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("first_ordinal", BigInteger, nullable=False),
    Column("image_count", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    # attempts that were started and failed on their own account; and those whose worker was never heard of again
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("vanished", BigInteger, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("lease_expires_at", Double),
    # whether a worker has begun with it since it was claimed
    Column("started", Boolean, nullable=False, server_default=false()),
    Column("not_before", Double, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("error", Text),
    Index("ix_shards_job_id_first_ordinal", "job_id", "first_ordinal"),
    # partial: the waiting and the held are few beside the done, whatever the size of the archive
    partial_index("ix_shards_queued", "job_id", "first_ordinal", where="state = 'queued'"),
    # without the time: what is held is little, and prolonging a lease touches no index
    partial_index("ix_shards_leased", "job_id", where="state = 'leased'"),
    postgresql_with=ROOM_FOR_HEARTBEATS,
)

#: a shard's state, written out in the statement: both databases then see that the partial indexes above fit
QUEUED = literal(ShardState.QUEUED.value, literal_execute=True)
LEASED = literal(ShardState.LEASED.value, literal_execute=True)

# apart from `shards` so that taking and giving back a lease never rewrites the manifest
shard_entries = Table(
    "shard_entries",
    metadata,
    Column("shard_id", RowId, ForeignKey("shards.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("entries", LargeBinary, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("container", Text, nullable=False),
    Column("key", Text, nullable=False),
    # keys can be longer than an index entry may be: equality goes by hash
    Column("key_hash", String(32), nullable=False),
    Column("score", Double),
    Column("flagged", Boolean, nullable=False),
    # taken over from an earlier job: the same bytes and the same fingerprint give the same verdict
    Column("reused", Boolean, nullable=False, server_default=false()),
    # share of the image with probability >= 0.5, for people and BI tools
    Column("tampered_area", Double),
    # the shares at all 16 cut-offs: little-endian unsigned 16 bit, 65535 = all of the image
    Column("tampered_areas", LargeBinary),
    # JSON: what each kind of evidence alone would give as the score, and the copied regions that were found
    Column("evidence", Text),
    Column("map_uri", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("sha256", String(64)),
    Column("etag", Text),
    Column("version_id", Text),
    Column("size", BigInteger),
    Column("error_code", String(32)),
    Column("error_message", Text),
    Column("recorded_at", Double, nullable=False),
    # stands for the job's model fingerprint in the index of known verdicts; null in rows that an older program wrote
    Column("model_key", BigInteger),
    # the decision of the review that holds: written with it, so that lists need no look at the reviews
    Column("review", Text),
    # the claim, paper or listing it belongs to
    Column("case_name", Text),
    # JSON: what the file says of itself; null where it says nothing
    Column("signals", Text),
    # where it stands between two people who decide on it; written with their reviews
    Column("second_look", Text),
    Index("ix_verdicts_job_id_key_hash", "job_id", "key_hash"),
    # what may be taken over by later jobs of the same model: equal bytes have equal sizes
    partial_index(
        "ix_verdicts_known_by_model", "model_key", "size", "key_hash", where="score IS NOT NULL AND NOT reused"
    ),
    # in the order in which flagged images are shown: of one job, and over all jobs
    partial_index("ix_verdicts_flagged_of_job", "job_id", "score", "ordinal", where="flagged"),
    partial_index("ix_verdicts_flagged", "score", "job_id", "ordinal", where="flagged"),
    # the same of those that nobody has reviewed, and those that somebody has
    partial_index("ix_verdicts_unreviewed_of_job", "job_id", "score", "ordinal", where="flagged AND review IS NULL"),
    partial_index("ix_verdicts_unreviewed", "score", "job_id", "ordinal", where="flagged AND review IS NULL"),
    partial_index("ix_verdicts_reviewed", "job_id", "review", "score", "ordinal", where="review IS NOT NULL"),
    partial_index("ix_verdicts_case", "job_id", "case_name", "ordinal", where="case_name IS NOT NULL"),
    partial_index("ix_verdicts_signals", "job_id", "ordinal", where="signals IS NOT NULL"),
    partial_index("ix_verdicts_second_look", "job_id", "second_look", "ordinal", where="second_look IS NOT NULL"),
    partial_index("ix_verdicts_failed", "job_id", "ordinal", where="error_code IS NOT NULL"),
)

# append-only; no foreign key, so that no deletion of a job or of its verdicts reaches it
reviews = Table(
    "reviews",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    # counts the reviews of this verdict from 1: of two who write the same number, one is told
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # null: unreviewed again
    Column("decision", Text),
    Column("reviewer", Text, nullable=False),
    Column("note", Text),
    Column("severity", BigInteger),
    Column("undoes", BigInteger),
    Column("created_at", Double, nullable=False),
    # what was looked at
    Column("container", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version_id", Text),
    Column("sha256", Text),
    Column("score", Double),
    Column("flagged", Boolean, nullable=False),
    Column("model_fingerprint", Text, nullable=False),
    # reviews that were given together have one
    Column("bulk", Text),
    # by somebody who had not seen what was said before
    Column("blind", Boolean, nullable=False, server_default=false()),
    # a row of `drawings`
    Column("drawing_kind", Text),
    Column("drawing", Text),
    partial_index("ix_reviews_bulk", "bulk", "job_id", "ordinal", where="bulk IS NOT NULL"),
)

# what happened how often; see `jobs.sql.tallies`
tallies = Table(
    "tallies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
