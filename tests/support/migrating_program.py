"""What one of several programs does at its start; apart, so that a new process has little to import."""

from __future__ import annotations

from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from jobs.sql.database import create_database_engine
from jobs.sql.migrations import upgrade


def migrate(url: str, start: Barrier, answers: Queue[str]) -> None:
    """Bring the database to the current schema when all are there, and tell how it went."""
    engine = create_database_engine(url)
    start.wait(60)
    try:
        upgrade(engine)
        answers.put("done")
    except Exception as error:  # noqa: BLE001 - told to the test
        answers.put(repr(error))
    engine.dispose()
