"""Transforms that many matches agree on: exhaustive, so without random draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.geometry import Matrix, Places, fitted, moved, nearest_similarity, reflection, stretches
from ncl_model.copy_move.matching import Matches

#: nearest matches that each match is paired with, and how far they must be from it, in pixels
_PARTNERS = 6
_LEAST_DISTANCE_PX = 4.0
#: hypotheses held against all matches at once
_ROWS = 256
_REFITS = 4
#: two-match hypotheses are rough
_ROUGH = 1.5

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A transform of the photograph into itself, and the matches that agree."""

    #: pixels of the keypoint picture; reflects where the matches are mirrored
    matrix: Matrix
    #: (n,) where the agreeing matches come from, and where they lead to
    sources: Places
    targets: Places
    #: their mean distinctness: 0 (nothing else is alike) to 1
    ratio: float

    @property
    def misfit(self) -> float:
        """Root mean square of how far the targets are from where the transform puts the sources, pixels."""
        return float(np.sqrt((np.abs(moved(self.matrix, self.sources) - self.targets) ** 2).mean()))


def propose(matches: Matches, config: CopyMoveConfig) -> list[Proposal]:
    """At most ``config.max_candidates`` transforms, the best supported first.

    Every match and each of its nearest ones fix a similarity; the one that most matches follow is refitted (affine
    where they allow it), its matches and those that say the same backwards are taken away, and so on.
    """
    turns, shifts = _hypotheses(matches, config)
    if not len(turns):
        return []
    agree = _agreement(turns, shifts, matches, config)
    free = np.ones(len(matches.sources), np.bool_)
    found: list[Proposal] = []
    for _ in range(2 * config.max_candidates):
        support = agree[:, free].sum(axis=1)
        best = int(support.argmax())
        if support[best] < config.least_inliers or len(found) == config.max_candidates:
            break
        seed = agree[best] & free
        matrix, inliers = _refitted(matches, seed, free, config)
        if matrix is None or inliers.sum() < config.least_inliers or not _allowed(matrix, config):
            agree[best] = False
            continue
        found.append(_proposal(matrix, matches, inliers))
        free &= ~(inliers | seed | _backwards(matches, matrix, config))
    return found


def _hypotheses(matches: Matches, config: CopyMoveConfig) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """(a, b) of similarities z -> a z + b through two matches each whose keypoints turn and zoom alike."""
    z, w = matches.sources, matches.targets
    if len(z) < max(config.least_inliers, 2):
        return np.empty(0, np.complex128), np.empty(0, np.complex128)
    i, j = _partners(z)
    a = (w[j] - w[i]) / (z[j] - z[i])
    a[a == 0] = 1e-9
    good = np.abs(np.log(np.abs(a))) < np.log(config.max_scale)
    good &= _alike(matches, i, a, config) & _alike(matches, j, a, config)
    a, i = a[good], i[good]
    if len(a) > config.max_hypotheses:
        some = np.linspace(0, len(a) - 1, config.max_hypotheses).astype(np.int64)
        a, i = a[some], i[some]
    return a, w[i] - a * z[i]


def _partners(z: Places) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each match with its nearest ones."""
    distance = np.abs(z[:, None] - z)
    distance[distance < _LEAST_DISTANCE_PX] = np.inf
    count = min(_PARTNERS, len(z) - 1)
    near = np.argpartition(distance, count, axis=1)[:, :count] if count < len(z) - 1 else np.argsort(distance, axis=1)
    i, j = np.repeat(np.arange(len(z)), near.shape[1]), near.ravel()
    apart = np.isfinite(distance[i, j])
    return i[apart], j[apart]


def _alike(
    matches: Matches, index: NDArray[np.int64], a: NDArray[np.complex128] | complex, config: CopyMoveConfig
) -> Bools:
    """Whether keypoints turn and zoom as the similarities do."""
    turned = np.abs(np.angle(np.exp(1j * (matches.turns[index] - np.angle(a)))))
    zoomed = np.abs(matches.zooms[index] - np.log(np.maximum(np.abs(a), 1e-9)))
    within = (turned < np.radians(config.angle_tolerance_deg)) & (zoomed < np.log(config.scale_tolerance))
    return np.asarray(within, dtype=np.bool_)


def _agreement(a: NDArray[np.complex128], b: NDArray[np.complex128], matches: Matches, config: CopyMoveConfig) -> Bools:
    """(hypotheses, matches): which follow which."""
    z, w = matches.sources.astype(np.complex64), matches.targets.astype(np.complex64)
    agree = np.empty((len(a), len(z)), np.bool_)
    for begin in range(0, len(a), _ROWS):
        rows = slice(begin, begin + _ROWS)
        off = a[rows, None].astype(np.complex64) * z + (b[rows, None].astype(np.complex64) - w)
        near = off.real**2 + off.imag**2 < (_ROUGH * config.tolerance) ** 2
        row, column = np.nonzero(near)
        near[row, column] = _alike(matches, column, a[rows][row], config)
        agree[rows] = near
    return agree


def _refitted(matches: Matches, seed: Bools, free: Bools, config: CopyMoveConfig) -> tuple[Matrix | None, Bools]:
    """The transform fitted to its matches, and the matches to it, until they stay."""
    every = np.arange(len(seed))
    inliers, matrix = seed, None
    for turn in range(_REFITS):
        matrix = fitted(matches.sources[inliers], matches.targets[inliers], affine=turn > 0)
        if matrix is None:
            break
        near = np.abs(moved(matrix, matches.sources) - matches.targets) < config.tolerance
        now = free & near & _alike(matches, every, nearest_similarity(matrix), config)
        settled = turn > 1 and bool((now == inliers).all())
        inliers = now
        if settled:
            break
    return matrix, inliers


def _allowed(matrix: Matrix, config: CopyMoveConfig) -> bool:
    longest, shortest = stretches(matrix)
    return shortest > 1 / config.max_scale and longest < min(config.max_scale, config.max_stretch * shortest)


def _backwards(matches: Matches, matrix: Matrix, config: CopyMoveConfig) -> Bools:
    """Matches that say the same from the target to the source."""
    starts, ends = matches.targets, matches.sources
    if matches.mirrored:
        starts, ends = moved(reflection(), starts), moved(reflection(), ends)
    return np.abs(moved(matrix, starts) - ends) < _ROUGH * config.tolerance


def _proposal(matrix: Matrix, matches: Matches, inliers: Bools) -> Proposal:
    sources, targets = matches.sources[inliers], matches.targets[inliers]
    if matches.mirrored:
        # out of the reflected picture again
        matrix, targets = np.stack([-matrix[0], matrix[1]]), moved(reflection(), targets)
    return Proposal(matrix=matrix, sources=sources, targets=targets, ratio=float(matches.ratios[inliers].mean()))
