"""Bringing a database to the schema this program knows: Alembic, driven from the program."""

from jobs.sql.migrations.schema import SchemaStatus, alembic_config, schema_status
from jobs.sql.migrations.upgrading import prepare_database, upgrade

__all__ = ["SchemaStatus", "alembic_config", "prepare_database", "schema_status", "upgrade"]
