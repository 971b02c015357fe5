"""What belongs to reviewing beside the reviews themselves: samples, drawings, who looks at what. See `jobs.reviews`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, ForeignKey, ForeignKeyConstraint, LargeBinary, Table, Text

from jobs.sql.metadata import metadata

# samples of jobs; gone with them
audits = Table(
    "audits",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    # counts the audits of a job from 1
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("threshold", Double, nullable=False),
    # name, flagged, images, drawn of each
    Column("strata", JSON, nullable=False),
    Column("unscored", BigInteger, nullable=False),
    Column("drawn_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

# the images of a sample, in the random order in which they are reviewed
audit_images = Table(
    "audit_images",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("audit", BigInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", BigInteger, nullable=False),
    # position among the audit's strata
    Column("stratum", BigInteger, nullable=False),
    ForeignKeyConstraint(["job_id", "audit"], ["audits.job_id", "audits.number"], ondelete="CASCADE"),
)

# what people drew, by what it holds; append-only, and no foreign key: reviews, which outlive their jobs, name them
drawings = Table(
    "drawings",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("width", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("png", LargeBinary, nullable=False),
)

# who looks at which image; a row that ran out is as if it were not there
review_leases = Table(
    "review_leases",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
)
