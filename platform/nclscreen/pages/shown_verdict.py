"""One verdict as a person looks at it: in words, with what was said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.domain import Review
from jobs.domain.drawings import DrawingKind
from jobs.reviews.drawn import last_drawn
from jobs.reviews.second_look import standing
from jobs.sql.rows import tampered_area
from jobs.verdicts import FoundVerdict
from nclscreen.evidence_text import evidence_of, fired_in, remarks, scores_in_words, sentences
from nclscreen.signal_text import signal_sentences


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownVerdict:
    """What the templates need of it."""

    found: FoundVerdict
    #: all of them, the first word first; of one who is to decide blindly, his own word alone
    reviews: Sequence[Review]
    #: how many there are
    number: int
    #: whoever looks is not to know what others have said
    blind: bool
    #: share of the image at probability 0.5 or more, in [0, 1]; None without a score
    area: float | None
    #: the evidence that fired, and what else is to be said of it
    evidence: tuple[str, ...]
    remarks: tuple[str, ...]
    #: what the file says of itself
    signals: tuple[str, ...]
    #: what each kind of evidence alone would give as the score; empty without any
    scores: str

    @property
    def path(self) -> str:
        """Of its page."""
        return f"/jobs/{self.found.job_id}/images/{self.found.verdict.ordinal}"

    @property
    def pictures(self) -> str:
        """What the addresses of its pictures begin with."""
        return f"/v1/jobs/{self.found.job_id}/verdicts/{self.found.verdict.ordinal}"

    @property
    def drawn(self) -> Review | None:
        """The review whose drawing holds, among those that are shown."""
        return last_drawn(self.reviews)

    @property
    def drawing(self) -> str | None:
        """The address of that drawing, to be laid over the photograph."""
        if self.drawn is None or self.drawn.drawing is None:
            return None
        return f"{self.pictures}/drawing?sha256={self.drawn.drawing.sha256}&coloured=true"

    @property
    def drawing_words(self) -> str:
        """What it is, and who drew it."""
        if self.drawn is None or self.drawn.drawing is None:
            return ""
        what = "a mask" if self.drawn.drawing.kind is DrawingKind.MASK else "scribbles"
        return f"{what} by {self.drawn.reviewer}"

    @property
    def holds(self) -> Review | None:
        """The review that holds; None: unreviewed."""
        return self.reviews[-1] if self.reviews and self.reviews[-1].decision is not None else None


def shown_verdict(found: FoundVerdict, reviews: Sequence[Review], *, blind_for: str | None = None) -> ShownVerdict:
    """`reviews`: of this verdict, the first one first. `blind_for`: who is to know nothing of them but his own."""
    evidence = evidence_of(found.verdict.evidence)
    kinds = fired_in(found.verdict, found.threshold)
    return ShownVerdict(
        found=found,
        reviews=reviews if blind_for is None else _own(reviews, blind_for),
        number=len(reviews),
        blind=blind_for is not None,
        area=tampered_area(found.verdict),
        evidence=sentences(evidence, kinds),
        remarks=remarks(evidence, kinds),
        signals=signal_sentences(found.verdict.signals),
        scores=scores_in_words(evidence),
    )


def _own(reviews: Sequence[Review], name: str) -> list[Review]:
    """The second look that he took and did not take back; a row that takes it back would say what was said before."""
    return [review for review in standing(reviews) if review.blind and review.reviewer == name]
