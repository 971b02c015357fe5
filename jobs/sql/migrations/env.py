"""Alembic runs this file; the connection comes from `jobs.sql.migrations.upgrade`."""

from alembic import context

from jobs.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
