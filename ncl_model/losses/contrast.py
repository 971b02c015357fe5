"""L_NCL, the non-mutually exclusive contrastive loss over patches, in float32.

Zhou et al., ICCV 2023, eq. 2-7, with the leading minus that the paper leaves out. phi is the cosine
similarity [ours]. Shapes: B images, M tampered and N authentic patches, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ncl_model.losses.patches import Chosen, at_least_float32
from ncl_model.losses.pivot import Pivots

#: an image with fewer patches of a kind takes no part [ours, NCL.md]
LEAST_PATCHES = 4
#: stands for minus infinity where a patch does not exist; finite, so that gradients stay finite
_NOTHING = -1e30
#: keeps the cosine of a zero vector finite
_EPSILON = 1e-6


def class_contrast(tampered: Chosen, authentic: Chosen, *, tau: float) -> Tensor:
    """The first term, (B,): tampered patches drawn together and away from the authentic ones.

    -mean over m and j != m of log(E(p_m, p_j) / (E(p_m, p_j) + sum_i E(p_m, n_i))). Images with fewer than
    two tampered patches or no authentic one get 0.
    """
    p, n = _unit(tampered.features), _unit(authentic.features)
    against = _logsumexp(p @ n.transpose(1, 2) / tau, authentic.valid.unsqueeze(1))
    terms = F.softplus(against.unsqueeze(2) - p @ p.transpose(1, 2) / tau)
    others = ~torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    pairs = tampered.valid.unsqueeze(1) & tampered.valid.unsqueeze(2) & others
    return _mean(terms.flatten(1), pairs.flatten(1))


def pivot_contrast(pivots: Pivots, tampered: Chosen, authentic: Chosen, *, tau: float) -> Tensor:
    """The second and third terms, (B,): each pivot drawn to its own kind and away from the other.

    -mean_j log(E+(p_j) / (E+(p_j) + sum_i E+(n_i))) - mean_i log(E-(n_i) / (E-(n_i) + sum_j E-(p_j))).
    se+ and se- are never contrasted with each other, on purpose (paper, eq. 5-7).
    """
    p, n = _unit(tampered.features), _unit(authentic.features)
    plus, minus = _unit(pivots.tampered).unsqueeze(2), _unit(pivots.authentic).unsqueeze(2)
    plus_p, plus_n = (p @ plus).squeeze(2) / tau, (n @ plus).squeeze(2) / tau
    minus_p, minus_n = (p @ minus).squeeze(2) / tau, (n @ minus).squeeze(2) / tau
    with_tampered = F.softplus(_logsumexp(plus_n, authentic.valid).unsqueeze(1) - plus_p)
    with_authentic = F.softplus(_logsumexp(minus_p, tampered.valid).unsqueeze(1) - minus_n)
    return _mean(with_tampered, tampered.valid) + _mean(with_authentic, authentic.valid)


def enough(*kinds: Tensor) -> Tensor:
    """(B,) bool: images with at least ``LEAST_PATCHES`` of each kind; ``kinds`` are (B, cells) bool."""
    counts = torch.stack([kind.flatten(1).sum(1) for kind in kinds])
    return (counts >= LEAST_PATCHES).all(0)


def _unit(features: Tensor) -> Tensor:
    return F.normalize(at_least_float32(features), dim=-1, eps=_EPSILON)


def _logsumexp(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, _NOTHING).logsumexp(-1)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum(1) / valid.sum(1).clamp_min(1)
