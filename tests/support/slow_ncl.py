"""The losses of NCL written as slowly and as plainly as the paper's formulas: loops over patches, no tricks.

What the vectorised losses are held against. Shapes as in ``ncl_model.losses.contrast``; one image at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

Vectors = Sequence[Sequence[float]]


def cosine(x: Sequence[float], y: Sequence[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    lengths = [math.sqrt(sum(a * a for a in v)) for v in (x, y)]
    return dot / (max(lengths[0], 1e-6) * max(lengths[1], 1e-6))


def class_term(tampered: Vectors, authentic: Vectors, tau: float) -> float:
    """First line of L_NCL."""
    terms = []
    for m, p_m in enumerate(tampered):
        against = sum(math.exp(cosine(p_m, n_i) / tau) for n_i in authentic)
        for j, p_j in enumerate(tampered):
            if j != m:
                e = math.exp(cosine(p_m, p_j) / tau)
                terms.append(-math.log(e / (e + against)))
    return sum(terms) / len(terms) if terms else 0.0


def pivot_terms(
    plus: Sequence[float], minus: Sequence[float], tampered: Vectors, authentic: Vectors, tau: float
) -> float:
    """Second and third line of L_NCL."""

    def line(pivot: Sequence[float], own: Vectors, other: Vectors) -> float:
        against = sum(math.exp(cosine(pivot, x) / tau) for x in other)
        terms = []
        for x in own:
            e = math.exp(cosine(pivot, x) / tau)
            terms.append(-math.log(e / (e + against)))
        return sum(terms) / len(terms) if terms else 0.0

    return line(plus, tampered, authentic) + line(minus, authentic, tampered)


def patches_by_kind(
    features: Tensor, mask: Tensor, size: int, known: Tensor | None = None
) -> tuple[Vectors, Vectors, Vectors]:
    """(tampered, authentic, contour) vectors of one image: ``features`` (C, h, w), ``mask`` and ``known`` (H, W)."""
    tampered: list[list[float]] = []
    authentic: list[list[float]] = []
    contour: list[list[float]] = []
    for row in range(features.shape[1]):
        for column in range(features.shape[2]):
            cell = mask[row * size : (row + 1) * size, column * size : (column + 1) * size]
            if known is not None and not all(_block(known, row * size, column * size, size)):
                continue
            values = {float(v) for v in cell.flatten()}
            kind = contour if len(values) > 1 else tampered if values == {1.0} else authentic
            kind.append([float(v) for v in features[:, row, column]])
    return tampered, authentic, contour


def pixel_bce(logit: float, truth: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(truth * math.log(p) + (1 - truth) * math.log(1 - p))


def pivot_consistent(logits: Sequence[Tensor], mask: Tensor, mu: float, known: Tensor | None = None) -> float:
    """L_PC of a batch; ``logits`` of strides 8, 4, 2, 1, each (B, 1, h, w), ``mask`` and ``known`` (B, 1, H, W)."""
    known = mask * 0 + 1 if known is None else known
    total = 0.0
    for stage in logits:
        stride = mask.shape[2] // stage.shape[2]
        everywhere, edges, weights = [], [], []
        for image in range(mask.shape[0]):
            for row in range(stage.shape[2]):
                for column in range(stage.shape[3]):
                    truth = _block(mask[image, 0], row * stride, column * stride, stride)
                    told = _block(known[image, 0], row * stride, column * stride, stride)
                    if not sum(told):
                        continue
                    tampered = sum(t * k for t, k in zip(truth, told, strict=True)) / sum(told)
                    loss = pixel_bce(float(stage[image, 0, row, column]), tampered)
                    weights.append(sum(told) / len(told))
                    everywhere.append(loss * weights[-1])
                    cell = max(4, stride)
                    corner = row * stride // cell * cell, column * stride // cell * cell
                    around = _block(mask[image, 0], *corner, cell)
                    if 0 < sum(around) < len(around) and all(_block(known[image, 0], *corner, cell)):
                        edges.append(loss)
        plain = sum(everywhere) / sum(weights) if weights else 0.0
        total += mu * sum(edges) / len(edges) + (1 - mu) * plain if edges else plain
    return total


def pooled_label(logits: Tensor) -> float:
    """Of one map (h, w) that is tampered somewhere: how far its highest hundredth is from saying so."""
    values = sorted((float(v) for v in logits.flatten()), reverse=True)
    highest = values[: max(1, round(0.01 * len(values)))]
    return pixel_bce(sum(highest) / len(highest), 1.0)


def disagreement(first: Tensor, second: Tensor) -> float:
    """Of two maps (h, w), the second mirrored."""
    total = 0.0
    for row in range(first.shape[0]):
        for column in range(first.shape[1]):
            here = 1 / (1 + math.exp(-float(first[row, column])))
            there = 1 / (1 + math.exp(-float(second[row, first.shape[1] - 1 - column])))
            total += (here - there) ** 2
    return total / first.numel()


def _block(mask: Tensor, row: int, column: int, side: int) -> list[float]:
    return [float(v) for v in mask[row : row + side, column : column + side].flatten()]
