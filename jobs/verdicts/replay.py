"""What another rule would flag among the verdicts of a job: counted, nothing is scored and nothing is changed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, or_, select, true

from jobs.domain import JobId
from jobs.sql.rows import FULL_AREA
from jobs.sql.tables import verdicts
from ncl_model.inference.scoring import AREA_CUTOFFS

#: a share that was read back and is asked for again passes itself
_SLACK = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A rule: an image is flagged whose score is high enough, and of which enough looks tampered."""

    #: in [0, 1], inclusive
    score: float
    #: share of the image's pixels, in [0, 1], inclusive; 0: whatever their share
    area: float = 0.0
    #: probability from which a pixel counts: one of `ncl_model.inference.scoring.AREA_CUTOFFS`
    cutoff: float = 0.5

    def __post_init__(self) -> None:
        if self.cutoff not in AREA_CUTOFFS:
            raise ValueError(f"areas are kept at {', '.join(f'{value:g}' for value in AREA_CUTOFFS)}")

    @property
    def steps(self) -> int:
        """The least area as areas are kept: 65535 is all of the image."""
        return math.ceil(self.area * FULL_AREA - _SLACK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """Images of a job under the rule, as far as it was screened."""

    scored: int
    #: without a score: no rule flags them
    failed: int
    #: by the rule of the job
    flagged: int
    #: by this rule
    would_flag: int
    #: by this rule and not by the job's; by the job's and not by this one
    added: int
    removed: int
    #: high enough, but their areas were not kept: whether the rule flags them is not known, and they are not in
    #: `would_flag`
    unknown: int


def replay(connection: Connection, job_id: JobId, rule: Replay) -> Replayed:
    """Count the images of a job under the rule; exact but for the steps of 1/65535 in which areas are kept."""
    row = verdicts.c
    high = row.score >= rule.score
    enough = _enough(rule)
    would = and_(high, enough)
    counted = {
        "scored": row.score.is_not(None),
        "failed": row.score.is_(None),
        "flagged": row.flagged,
        "would_flag": would,
        "added": and_(would, ~row.flagged),
        "removed": and_(row.flagged, or_(row.score < rule.score, ~enough)),
        "unknown": and_(high, row.tampered_areas.is_(None)) if rule.steps > 0 else ~true(),
    }
    # count() of what is null where the condition is not true, and null too where it is not known
    columns = [func.count(case((condition, literal(1)))).label(name) for name, condition in counted.items()]
    found = connection.execute(select(*columns).where(row.job_id == job_id)).one()
    return Replayed(**{name: int(getattr(found, name)) for name in counted})


def _enough(rule: Replay) -> ColumnElement[bool]:
    """Whether the area at the cut-off is large enough; not known where none was kept.

    Areas are little-endian: the high byte, which comes second, decides first. Bytes compare alike in both databases.
    """
    if rule.steps <= 0:
        return true()
    at = 2 * AREA_CUTOFFS.index(rule.cutoff) + 1
    low, high = (func.substr(verdicts.c.tampered_areas, place, 1) for place in (at, at + 1))
    low_byte, high_byte = (bytes([value]) for value in (rule.steps & 255, rule.steps >> 8))
    return or_(high > high_byte, and_(high == high_byte, low >= low_byte))
