"""Evidence made by hand: what each kind alone would score, and as many copied pairs as one likes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ncl_model.copy_move import CopiedPair
from ncl_model.inference.evidence import Evidence


def pair(left: float = 0.1) -> CopiedPair:
    """A box in the upper half and the same in the lower one, a line between them."""
    return CopiedPair(
        first=(left, 0.1, left + 0.2, 0.4), second=(left + 0.1, 0.6, left + 0.3, 0.9), angle_deg=1.5, scale=1.0,
        mirrored=False, shift_px=(9.6, 32.0), inliers=20, zncc=0.95, residual_zncc=0.9, area_px=256, statistic=6.0,
        lines=((left + 0.1, 0.25, left + 0.2, 0.75),),
    )  # fmt: skip


def evidence(pairs: int = 0, untestable: Mapping[str, str] | None = None, **scores: float) -> dict[str, Any]:
    """A document as verdicts carry it: `evidence(1, copies=0.99, pixels=0.2)`."""
    copies = tuple(pair(0.1 + 0.2 * number) for number in range(pairs))
    return Evidence(scores=scores, untestable=untestable or {}, copies=copies).to_dict()
