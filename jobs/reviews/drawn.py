"""Which of an image's drawings holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.domain import Decision, Review
from jobs.reviews.second_look import standing


def last_drawn(said: Sequence[Review]) -> Review | None:
    """The review whose drawing holds; `said`: all of an image, the first one first.

    While the image is confirmed that is the last one that has a drawing and was not taken back: whoever agrees with
    it later, perhaps without having seen it, need not draw it again.
    """
    stands = standing(said)
    if not stands or stands[-1].decision is not Decision.CONFIRMED:
        return None
    return next((review for review in reversed(stands) if review.drawing is not None), None)
