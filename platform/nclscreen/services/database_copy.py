"""Moving everything to another database."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from jobs.errors import JobsError
from jobs.masking import masked
from jobs.outage import reason
from jobs.sql.copying import Copied, copy_database
from jobs.sql.copying.copies import Told
from jobs.sql.database import create_database_engine
from nclscreen.wiring import Wiring


class CopyBrokenOff(JobsError):
    """One of the two databases went away in the middle; what arrived is kept."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the copy broke off, and the same command goes on with it: {why}")


def copy_to(wiring: Wiring, target_url: str, told: Told) -> tuple[str, Copied]:
    """Copy the database into an empty one; gives the target's address without its password, and what was copied.

    Raises InvalidDatabaseUrl, DatabaseUnusable, CopyRefused, CopyDiffers, CopyBrokenOff, SchemaOutdated, SchemaTooNew.
    """
    target = create_database_engine(target_url)
    try:
        copied = copy_database(wiring.unchecked_engine, target, told)
    except SQLAlchemyError as error:
        raise CopyBrokenOff(masked(reason(error))) from error
    finally:
        target.dispose()
    return masked(target.url.render_as_string(hide_password=True)), copied
