"""Where an image stands between two people who do not know of each other, by what was said of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jobs.domain import Decision, Review
from jobs.domain.reviews import SecondLook

_HASHES = 16**32


def standing(said: Sequence[Review]) -> list[Review]:
    """The decisions that hold or would hold again, the one that holds last; `said`: all reviews, the first first."""
    found: list[Review] = []
    for review in said:
        found = [*found, review] if review.undoes is None else found[:-1]
    return found


def is_drawn(key_hash: str, share: float) -> bool:
    """Whether an image is among the share, in [0, 1], that gets a second look: by 32 hex digits that hash its key."""
    return int(key_hash, 16) < share * _HASHES


def pair_of(said: Sequence[Review]) -> tuple[Decision, Decision] | None:
    """What was said first, and what was said by somebody who did not know it; None where nobody has."""
    stands = standing(said)
    for before, review in pairwise(stands):
        if review.blind and before.decision is not None and review.decision is not None:
            return before.decision, review.decision
    return None


def second_look(said: Sequence[Review], *, drawn: bool) -> SecondLook | None:
    """Where the image stands; None where it has no decision, or is to have only one."""
    stands = standing(said)
    pair = pair_of(said)
    if pair is None:
        return SecondLook.WANTED if drawn and stands else None
    if pair[0] is pair[1]:
        return SecondLook.AGREED
    return SecondLook.CONFLICT if stands[-1].blind else SecondLook.SETTLED
