"""The search for copied regions, from pixels to evidence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.evidence import CopyMoveEvidence, Level
from ncl_model.copy_move.geometry import Matrix, chained, inverse, moved
from ncl_model.copy_move.keypoints import find_keypoints
from ncl_model.copy_move.matching import match
from ncl_model.copy_move.measuring import Verified
from ncl_model.copy_move.preparation import Prepared, prepare
from ncl_model.copy_move.proposals import Proposal, propose
from ncl_model.copy_move.reporting import WeighedCopy, describe, draw_map
from ncl_model.copy_move.verification import Verifier
from ncl_model.copy_move.weighing import CopySigns, log_odds, signs_of

#: a transform that puts this share of a proposal's places within so many pixels of where it does says the same
_SAME_SHARE, _SAME_PX = 0.6, 6.0


def find_copies(pixels: NDArray[np.uint8], config: CopyMoveConfig | None = None) -> CopyMoveEvidence:
    """What speaks for copied regions in ``pixels``, (H, W, 3) uint8 RGB, upright, of any size.

    SIFT keypoints matched among themselves, as they are and mirrored; transforms that matches agree on; pixels
    correlated under each transform, which grows both ends of a copy; what is found weighed. The same pixels and config
    give the same evidence on the same machine. Thread-safe; see ``opencv`` for the one setting of the process. Raises
    ValueError for arrays of another shape or type.
    """
    config = config or CopyMoveConfig()
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels are (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    photo = pixels.shape[0], pixels.shape[1]
    if min(photo) < config.least_side:
        return _nothing(photo, searched=False)
    prepared = prepare(pixels, config)
    if min(prepared.canvas.shape) < config.least_side:
        return _nothing(photo, searched=False)
    copies = [_weighed(*found, config) for found in candidates(prepared, config)]
    copies.sort(key=lambda copy: -copy.statistic)
    return _evidence(copies, prepared, photo, config)


def candidates(prepared: Prepared, config: CopyMoveConfig) -> Iterator[tuple[Proposal, Verified, CopySigns]]:
    """Proposals (on the canvas) that the pixels bear out, each with what was measured."""
    points = find_keypoints(prepared.keypoint_picture, config)
    proposals = [
        _on_canvas(rough, prepared)
        for mirrored in (False, True)
        for rough in propose(match(points, config, mirrored=mirrored), config)
    ]
    # the best supported first: a verifier looks at a bounded number of pixels
    proposals.sort(key=lambda proposal: -len(proposal.sources))
    verifier = Verifier(prepared, config)
    known: list[Matrix] = []
    for proposal in proposals:
        if verifier.exhausted or any(_says_the_same(matrix, proposal) for matrix in known):
            continue
        verified = verifier.verify(proposal.matrix, proposal.sources)
        if verified is not None:
            known.append(verified.matrix)
            yield proposal, verified, signs_of(proposal, verified, native=prepared.native)


def _on_canvas(proposal: Proposal, prepared: Prepared) -> Proposal:
    back = inverse(prepared.to_canvas)
    return Proposal(
        matrix=chained(chained(back, proposal.matrix), prepared.to_canvas),
        sources=moved(prepared.to_canvas, proposal.sources),
        targets=moved(prepared.to_canvas, proposal.targets),
        ratio=proposal.ratio,
    )


def _says_the_same(matrix: Matrix, proposal: Proposal) -> bool:
    apart = np.abs(moved(matrix, proposal.sources) - moved(proposal.matrix, proposal.sources))
    return float((apart < _SAME_PX).mean()) > _SAME_SHARE


def _weighed(proposal: Proposal, verified: Verified, signs: CopySigns, config: CopyMoveConfig) -> WeighedCopy:
    return WeighedCopy(
        verified=verified,
        sources=proposal.sources,
        targets=proposal.targets,
        statistic=float(np.logaddexp(0, log_odds(signs, config.weights))),
    )


def _evidence(
    copies: list[WeighedCopy], prepared: Prepared, photo: tuple[int, int], config: CopyMoveConfig
) -> CopyMoveEvidence:
    shape = prepared.canvas.shape
    canvas = shape[0], shape[1]
    shown = [copy for copy in copies if copy.statistic >= config.loose]
    statistic = max((copy.statistic for copy in copies), default=0.0)
    return CopyMoveEvidence(
        statistic=statistic,
        level=_level(statistic, config),
        searched=True,
        pairs=tuple(describe(copy, canvas, photo) for copy in shown),
        heatmap=draw_map(shown, canvas, photo),
    )


def _level(statistic: float, config: CopyMoveConfig) -> Level:
    if statistic >= config.strict:
        return "strict"
    return "loose" if statistic >= config.loose else "none"


def _nothing(photo: tuple[int, int], *, searched: bool) -> CopyMoveEvidence:
    return CopyMoveEvidence(
        statistic=0.0, level="none", searched=searched, pairs=(), heatmap=np.zeros(photo, np.float32)
    )
