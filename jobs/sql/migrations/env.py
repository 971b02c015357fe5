"""Alembic runs this file; the connection comes from `jobs.sql.migrations.upgrading`.

Without one, statements are written out instead of run: for a reader, and for a linter.
"""

from alembic import context

from jobs.sql.migrations.upgrading import LOCK_TIMEOUT
from jobs.sql.tables import metadata

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", target_metadata=metadata, transaction_per_migration=True, literal_binds=True
    )
else:
    context.configure(
        connection=attributes["connection"],
        target_metadata=metadata,
        # SQLite cannot alter most things in place
        render_as_batch=True,
        transaction_per_migration=attributes.get("online", False),
    )
if context.is_offline_mode():
    context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")  # as the session of an upgrade has it
with context.begin_transaction():
    context.run_migrations()
