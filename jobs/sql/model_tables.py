"""Model versions, what serves, what is due, and runs of retraining. Times are seconds since the epoch.

No foreign keys: where a model came from stays known when everything else is gone.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Table, Text, false

from jobs.sql.metadata import metadata

# written once, never changed
model_versions = Table(
    "model_versions",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    # of the file with the weights, and where it lies
    Column("weights_sha256", Text, nullable=False),
    Column("weights_uri", Text, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("metrics", JSON, nullable=False),
    # the version it was trained on from, the run that made it, what it was trained on
    Column("parent", Text),
    Column("run_id", Text),
    Column("snapshot", Text),
    Column("code_version", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # what it said of a few pictures, for whoever hosts it to be compared with
    Column("canary", JSON(none_as_null=True)),
)

# append-only: the last move of an alias holds
alias_moves = Table(
    "alias_moves",
    metadata,
    Column("alias", Text, primary_key=True),
    # counts the moves of this alias from 1: of two who make the same move, one is told
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # null: it names nothing any more
    Column("fingerprint", Text),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("run_id", Text),
    Column("moved_at", Double, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # see `jobs.domain.schedules`
    Column("kind", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("misfire", Text, nullable=False),
    # what is to be done
    Column("request", JSON, nullable=False),
    Column("project", Text, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    # also due as soon as so many reviews are new; how many there were when it was due last
    Column("after_reviews", BigInteger),
    Column("reviews_seen", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    # due times up to here have their ticks
    Column("considered_at", Double, nullable=False),
    Index("ix_schedules_name", "name", unique=True),
)

# one due time of one schedule: the key makes it one, whoever sees it first
ticks = Table(
    "ticks",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("due_at", Double, primary_key=True),
    Column("state", Text, nullable=False),
    # what it began: a job, a run
    Column("subject", Text),
    Column("note", Text),
    Column("made_at", Double, nullable=False),
)

retraining_runs = Table(
    "retraining_runs",
    metadata,
    Column("id", Text, primary_key=True),
    # see `jobs.domain.retraining`
    Column("state", Text, nullable=False),
    Column("schedule_id", Text),
    Column("request", JSON, nullable=False),
    # the champion it began with
    Column("parent", Text),
    # the sha256 of what it is trained on, and how much of which kind that is
    Column("snapshot", Text),
    Column("contents", JSON(none_as_null=True)),
    Column("fingerprint", Text),
    # figures of both, the rules, what was decided
    Column("decision", JSON(none_as_null=True)),
    Column("error", Text),
    Column("cancelled", Boolean, nullable=False, server_default=false()),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    # what was told of the training: recipe, code version, points of its curves
    Column("training", JSON(none_as_null=True)),
    Index("ix_retraining_runs_created_at_id", "created_at", "id"),
)
