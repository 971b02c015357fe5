"""Giving back the room of rows that are gone."""

from __future__ import annotations

from sqlalchemy import Engine, text


def vacuum(engine: Engine) -> None:
    """Tidy up: PostgreSQL beside the work, for use by later rows; SQLite makes its file smaller, and writers wait.

    SQLite needs as much room on the disk as the file has, for a while. Raises one of DATABASE_AWAY.
    """
    server = engine.dialect.name == "postgresql"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if server:
            connection.execute(text("VACUUM (ANALYZE)"))
            return
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - it is connected
        for statement in ("VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
            driver.execute(statement)
