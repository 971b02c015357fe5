"""What a reviewed sample says of its job: how many flagged images are tampered, and how many were missed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.domain.audits import AuditStratum
from ncl_model.intervals import CONFIDENCE, Interval, Stratum, stratified_interval

#: a figure that is made of two others: each of them is asked for so much that both hold as often as one of 95 %
#: (Bonferroni)
_BOTH = 1 - (1 - CONFIDENCE) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewedStratum:
    """The drawn images of a stratum, by the decision that holds."""

    stratum: AuditStratum
    confirmed: int = 0
    rejected: int = 0
    unsure: int = 0

    @property
    def unreviewed(self) -> int:
        return self.stratum.drawn - self.confirmed - self.rejected - self.unsure

    @property
    def counted(self) -> Stratum:
        """Those of which somebody knows what they are: the tampered ones are the hits."""
        return Stratum(self.confirmed, self.confirmed + self.rejected, self.stratum.images)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A share in [0, 1], and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFigures:
    """What is known by now; None: nothing, since of a stratum no image is confirmed or rejected yet.

    Images that are unsure or unreviewed are taken to be like the others of their stratum.
    """

    #: of the flagged images, so many are tampered; None, too, where none is flagged
    precision: Estimate | None
    #: of the others, so many are (the field's false omission rate); None, too, where there are none
    missed_rate: Estimate | None
    #: of all tampered images, so many were not flagged; None, too, where none was found
    missed_share: Estimate | None


def audit_figures(strata: Sequence[ReviewedStratum]) -> AuditFigures:
    """From the decisions on a sample; strata without images are left out before."""
    flagged = [each.counted for each in strata if each.stratum.flagged]
    others = [each.counted for each in strata if not each.stratum.flagged]
    return AuditFigures(
        precision=_share(flagged), missed_rate=_share(others), missed_share=_missed_share(flagged, others)
    )


def _share(parts: Sequence[Stratum]) -> Estimate | None:
    if not parts or any(part.trials == 0 for part in parts):
        return None
    value, (low, high) = stratified_interval(parts)
    return Estimate(value=value, low=low, high=high)


def _missed_share(flagged: Sequence[Stratum], others: Sequence[Stratum]) -> Estimate | None:
    """Missed through missed and found. It grows with the one and falls with the other: its ends are at theirs."""
    if any(part.trials == 0 for part in [*flagged, *others]):
        return None
    found, (found_low, found_high) = _images(flagged)
    missed, (missed_low, missed_high) = _images(others)
    if missed + found == 0:
        return None
    return Estimate(
        value=missed / (missed + found),
        low=_part_of_both(missed_low, found_high),
        high=_part_of_both(missed_high, found_low),
    )


def _part_of_both(one: float, other: float) -> float:
    return one / (one + other) if one else 0.0


def _images(parts: Sequence[Stratum]) -> tuple[float, Interval]:
    """Tampered images among these, and the limits."""
    whole = sum(part.population for part in parts)
    if not whole:
        return 0.0, (0.0, 0.0)
    value, (low, high) = stratified_interval(parts, _BOTH)
    return value * whole, (low * whole, high * whole)
