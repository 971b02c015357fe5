"""Which reviewed photographs may be learnt from, and which not, each with its reason. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from jobs.domain import Container, Decision, Fingerprint, ImageKey, Review, VerdictRef
from jobs.domain.drawings import DrawingKind, DrawingName

#: of the reviewed photographs, those that are kept for judging, by their hash
_HELD_OUT = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledPhoto:
    """A photograph that people have decided on."""

    #: of its bytes: what it is known by, wherever it lies
    sha256: str
    container: Container
    key: ImageKey
    version_id: str | None
    tampered: bool
    #: score and model at the time
    score: float | None
    fingerprint: Fingerprint
    #: where it was tampered with, if somebody drew that
    drawing: DrawingName | None = None

    @property
    def held_out(self) -> bool:
        """Whether it is kept for judging: the same in every run."""
        number = int.from_bytes(hashlib.sha256(f"held out {self.sha256}".encode()).digest()[:8], "big")
        return number < _HELD_OUT * 2**64


@dataclass(frozen=True, kw_only=True, slots=True)
class Excluded:
    """A photograph that is not learnt from."""

    sha256: str | None
    key: str
    reason: str


def choose(
    reviews: Iterable[Review], evaluated: Collection[str] = (), disputed: Collection[VerdictRef] = ()
) -> tuple[list[LabelledPhoto], list[Excluded]]:
    """From the reviews that hold: one label for each photograph, and what was left out.

    `evaluated`: sha256 of photographs that models are measured on: learning from one would be leakage. `disputed`:
    images on which two reviewers differ, and which nobody has settled. Of several drawings of the same bytes the last
    mask is taken, or else the last scribbles.
    """
    found: dict[str, LabelledPhoto] = {}
    excluded: list[Excluded] = []
    conflicting: set[str] = set()
    drawn: dict[str, Review] = {}
    for review in reviews:
        if (reason := _unusable(review, evaluated, disputed)) is not None:
            excluded.append(Excluded(sha256=review.sha256, key=review.key, reason=reason))
            continue
        photo = _photo(review)
        known = found.setdefault(photo.sha256, photo)
        if known.tampered != photo.tampered:
            conflicting.add(photo.sha256)
        if review.drawing is not None:
            drawn[photo.sha256] = max(drawn.get(photo.sha256, review), review, key=_says_where)
    for sha in sorted(conflicting):
        excluded.append(Excluded(sha256=sha, key=found.pop(sha).key, reason="reviews of the same bytes conflict"))
    return [_with_drawing(found[sha], drawn.get(sha)) for sha in sorted(found)], excluded


def _says_where(review: Review) -> tuple[bool, float]:
    """What is larger says more, or was said later."""
    return review.drawing is not None and review.drawing.kind is DrawingKind.MASK, review.created_at


def _with_drawing(photo: LabelledPhoto, review: Review | None) -> LabelledPhoto:
    return photo if review is None else replace(photo, drawing=review.drawing)


def _unusable(review: Review, evaluated: Collection[str], disputed: Collection[VerdictRef]) -> str | None:
    if review.ref in disputed:
        return "two reviewers differ, and nobody has settled it"
    if review.decision is None or review.decision is Decision.UNSURE:
        return "nobody is sure"
    if review.sha256 is None:
        return "its bytes were never scored"
    return "models are measured on it" if review.sha256 in evaluated else None


def _photo(review: Review) -> LabelledPhoto:
    return LabelledPhoto(
        sha256=review.sha256 or "",
        container=review.container,
        key=review.key,
        version_id=review.version_id,
        tampered=review.decision is Decision.CONFIRMED,
        score=review.score,
        fingerprint=review.fingerprint,
    )
