"""Second looks: two people decide on an image without knowing of each other; where they differ, a third word counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from jobs.domain import Decision, JobId
from jobs.domain.reviews import SecondLook
from jobs.reviews.agreement import Agreement, Pair, cohens_kappa
from nclscreen.services import checks
from nclscreen.wiring import Wiring

_DIGITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondLookView:
    """How far a job's second looks are, and how far people agree."""

    job_id: JobId
    #: of its reviewed images, in [0, 1]
    share: float
    #: images by `SecondLook`
    counts: dict[str, int]
    #: images by what the first and what the second said
    pairs: Counter[Pair]
    agreement: Agreement

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        kappa = self.agreement.kappa
        return {
            "job": self.job_id,
            "share": self.share,
            **self.counts,
            "kappa": None if kappa is None else round(kappa, _DIGITS),
            "images": self.agreement.images,
            "same": self.agreement.same,
            "by_chance": round(self.agreement.by_chance, _DIGITS),
            "pairs": [
                {"first": first.value, "second": second.value, "images": self.pairs[first, second]}
                for first in Decision
                for second in Decision
            ],
        }


def second_looks(wiring: Wiring, job_id: str) -> SecondLookView:
    """Raises JobNotFound."""
    job = wiring.jobs.get(job_id)
    counts = wiring.second_looks.counts(job.id)
    twice = any(count for state, count in counts.items() if state != SecondLook.WANTED)
    pairs: Counter[Pair] = wiring.second_looks.pairs(job.id) if twice else Counter()
    return SecondLookView(
        job_id=job.id,
        share=wiring.second_looks.share(job.id),
        counts=counts,
        pairs=pairs,
        agreement=cohens_kappa(pairs),
    )


def set_second_looks(wiring: Wiring, job_id: str, share: float) -> SecondLookView:
    """Have this share of a job's reviewed images looked at twice, by their keys. Raises JobNotFound, InvalidRequest."""
    checks.within("share", share, 0, 1)
    wiring.second_looks.set_share(wiring.jobs.get(job_id).id, share)
    return second_looks(wiring, job_id)
