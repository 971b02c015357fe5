"""How much a verified transform speaks for a copy, rather than for two things that look alike."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, fields

import numpy as np

from ncl_model.copy_move.config import CopyWeights
from ncl_model.copy_move.geometry import Matrix, nearest_similarity, stretches
from ncl_model.copy_move.measuring import Verified
from ncl_model.copy_move.proposals import Proposal


@dataclass(frozen=True, kw_only=True)
class CopySigns:
    """What tells a copy from a repeated pattern, each on a scale on which log-odds are about linear."""

    #: natural logarithm of the textured pixels
    area: float
    #: natural logarithm of the matches
    inliers: float
    #: Fisher's z of the region's sameness: a copy has the brightness of its origin too
    sameness: float
    #: log(1 + difference of brightness in grey levels)
    brightness: float
    #: log(1 + difference of colour in grey levels)
    colour: float
    #: 0 to 1: the ends of a pattern run into each other
    overlap: float
    #: misfit of the matches, root mean square, pixels of the canvas
    misfit: float
    #: mean distinctness of the matches, 0 to 1
    ratio: float
    #: longest / shortest image of a line - 1, at most 0.5: things of one kind are seen from different sides
    stretch: float
    #: 1 for a shift by whole pixels without any turn or zoom, where the canvas has the photograph's own pixels
    whole_shift: float


#: a shift counts as whole up to this turn (degrees), zoom and stretch (as factors - 1), and rest of a pixel
_MOST_TURN_DEG, _MOST_ZOOM, _MOST_STRETCH, _MOST_REST_PX = 0.6, 0.012, 0.012, 0.12
#: Fisher's z is taken of correlations up to this
_HIGHEST, _LOWEST = 0.985, -0.5


def signs_of(proposal: Proposal, verified: Verified, *, native: bool) -> CopySigns:
    """Of a proposal in pixels of the canvas and its verified transform. ``native``: the canvas is the photograph."""
    mirrored = is_mirrored(verified.matrix)
    longest, shortest = stretches(verified.matrix)
    return CopySigns(
        area=math.log(verified.textured),
        inliers=math.log(len(proposal.sources)),
        sameness=_fisher(verified.sameness),
        brightness=math.log1p(verified.brightness),
        colour=math.log1p(verified.colour),
        overlap=verified.overlap,
        misfit=proposal.misfit,
        ratio=proposal.ratio,
        stretch=min(longest / shortest - 1, 0.5),
        whole_shift=float(native and not mirrored and _is_whole_shift(verified)),
    )


def log_odds(signs: CopySigns, weights: CopyWeights) -> float:
    """Of a copy against a repeated pattern: a logistic regression with the weights of the config."""
    return weights.constant + sum(
        float(getattr(weights, sign.name) * getattr(signs, sign.name)) for sign in fields(CopySigns)
    )


def is_mirrored(matrix: Matrix) -> bool:
    """Whether the transform reflects."""
    return float(np.linalg.det(matrix[:, :2])) < 0


def _is_whole_shift(verified: Verified) -> bool:
    a = nearest_similarity(verified.matrix)
    longest, shortest = stretches(verified.matrix)
    turned = abs(math.degrees(cmath.phase(a))) > _MOST_TURN_DEG
    if turned or abs(abs(a) - 1) > _MOST_ZOOM or longest / shortest - 1 > _MOST_STRETCH:
        return False
    shift = verified.shift
    return max(abs(shift.real - round(shift.real)), abs(shift.imag - round(shift.imag))) < _MOST_REST_PX


def _fisher(correlation: float) -> float:
    return math.atanh(min(max(correlation, _LOWEST), _HIGHEST))
