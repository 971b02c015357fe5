"""The image that a person means: by its reference, its ordinal, its address, or its key where one image alone has it.

A key is no identity: a list may name it in two buckets, or two versions of it in one.
"""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, Connection, Engine, and_, or_

from jobs.domain import JobId
from jobs.errors import AmbiguousImage, VerdictNotFound
from jobs.sql.database import reading
from jobs.sql.rows import hash_key
from jobs.sql.tables import verdicts
from jobs.stored_text import is_storable
from jobs.verdicts.rows import FoundVerdict, found_from_row, joined

#: candidates that are told
_MOST = 5
_ORDINAL = re.compile(r"[0-9]{1,18}")
#: how lists for people write characters that hide
_ESCAPE = re.compile(r"\\(?:([nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U(00(?:0[0-9a-f]|10)[0-9a-f]{4}))")
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}


def find_image(engine: Engine, job_id: JobId, said: str) -> FoundVerdict:
    """The one verdict of a job that `said` means: "17", "JOB/17", "s3://bucket/key", "file:///folder/key", or a key.

    What is found neither way is looked for once more as lists print it, where a line's end in a name is ``\\n``.
    Raises VerdictNotFound, or AmbiguousImage when it can mean several images.
    """
    with reading(engine) as connection:
        found = [*_by_ordinal(connection, job_id, said), *_by_name(connection, job_id, said)]
        if not found and (spelled := _without_escapes(said)) != said:
            found = _by_name(connection, job_id, spelled)
    distinct = {each.verdict.ordinal: each for each in found}
    if not distinct:
        raise VerdictNotFound(job_id, said)
    if len(distinct) > 1:
        candidates = [(ordinal, distinct[ordinal].verdict.uri) for ordinal in sorted(distinct)]
        raise AmbiguousImage(job_id, said, candidates[:_MOST], more=len(candidates) > _MOST)
    return next(iter(distinct.values()))


def _without_escapes(said: str) -> str:
    def char(escape: re.Match[str]) -> str:
        return _NAMED[escape[1]] if escape[1] else chr(int(escape[2] or escape[3] or escape[4], 16))

    return _ESCAPE.sub(char, said)


def _by_ordinal(connection: Connection, job_id: JobId, said: str) -> list[FoundVerdict]:
    number = said.removeprefix(f"{job_id}/")
    if not _ORDINAL.fullmatch(number):
        return []
    return _found(connection, verdicts.c.job_id == job_id, verdicts.c.ordinal == int(number))


def _by_name(connection: Connection, job_id: JobId, said: str) -> list[FoundVerdict]:
    if not is_storable(said):
        return []
    keys = _possible_keys(said)
    # the root folder's container ends with a slash of its own
    addresses = (verdicts.c.container + "/" + verdicts.c.key, verdicts.c.container + verdicts.c.key)
    return _found(
        connection,
        verdicts.c.job_id == job_id,
        verdicts.c.key_hash.in_([hash_key(key) for key in keys]),
        or_(verdicts.c.key == said, *(and_(verdicts.c.key.in_(keys[1:]), address == said) for address in addresses)),
    )


def _possible_keys(said: str) -> list[str]:
    """What was said, and what is behind each slash of an address: a folder's has slashes of its own."""
    scheme = said.find("://")
    if scheme < 0:
        return [said]
    cuts = [at for at in range(scheme + 3, len(said)) if said[at] == "/"]
    return [said, *(said[at + 1 :] for at in (cuts if said.startswith("file:") else cuts[:1]))]


def _found(connection: Connection, *conditions: ColumnElement[bool]) -> list[FoundVerdict]:
    # by ordinal + 0, else SQLite walks the whole job in this order
    wanted = joined().where(*conditions).order_by(verdicts.c.ordinal + 0).limit(_MOST + 1)
    return [found_from_row(row) for row in connection.execute(wanted)]
