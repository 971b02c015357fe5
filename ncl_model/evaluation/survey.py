"""Validation images run once: their figures, and their scores by every candidate rule. No map is kept."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ncl_model.data.file_bytes import read_file
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid, ImageUnreadable
from ncl_model.evaluation.records import Distort, Examination, ImageRecord, examine, record_of
from ncl_model.evaluation.selection import HEAD, column, scores_of
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.scoring import Rule
from ncl_model.shown_text import one_line

#: called once for each image
Seen = Callable[[], None]


def nobody() -> None:
    """Nobody counts."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Validation images of one source."""

    name: str
    samples: Sequence[Sample]


@dataclass(kw_only=True)
class Survey:
    """Records, the source of each, and scores by rule: equally long lists."""

    records: list[ImageRecord] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    #: by map rule, and the image head's probability under ``HEAD`` where the network has a head
    scores: dict[Rule, list[float]] = field(default_factory=dict)

    def add(self, more: Survey) -> None:
        """Append another survey by the same predictor."""
        self.records += more.records
        self.sources += more.sources
        for rule, scores in more.scores.items():
            self.scores.setdefault(rule, []).extend(scores)

    def judged_by(self, rule: Rule) -> list[ImageRecord]:
        """The records with the scores of one rule, as verdicts would have them (float32)."""
        if not self.records:
            return []
        scores = column(self.scores, rule)
        return [dataclasses.replace(r, score=float(score)) for r, score in zip(self.records, scores, strict=True)]


def survey(
    predictor: Predictor, parts: Sequence[Part], distort: Distort | None = None, *, seen: Seen = nobody
) -> Survey:
    """Run every image of the parts, through ``distort`` if given; a record's own score is by the predictor's rule."""
    found = Survey()
    for part in parts:
        for sample, examined, size in examinations(predictor, part.samples, distort, seen=seen):
            found.records.append(record_of(sample, str(sample.image), examined, size))
            found.sources.append(part.name)
            for rule, score in scores_of(examined.probabilities).items():
                found.scores.setdefault(rule, []).append(score)
            if examined.head is not None:
                found.scores.setdefault(HEAD, []).append(HEAD.score(examined.probabilities, examined.head))
    return found


def examinations(
    predictor: Predictor, samples: Sequence[Sample], distort: Distort | None = None, *, seen: Seen = nobody
) -> Iterator[tuple[Sample, Examination, int]]:
    """(sample, examined, bytes of the file), one after the other; what cannot be read is named on standard error.

    ``seen`` is called for each sample, when it begins.
    """
    for sample in samples:
        seen()
        try:
            data = read_file(sample.image)
            shown = data if distort is None else distort(data)
            examined = examine(predictor, sample, shown, resized=distort is not None)
        except (OSError, ImageUnreadable, DatasetInvalid) as error:
            sys.stderr.write(one_line(f"left out: {sample.image}: {error}") + "\n")
            continue
        yield sample, examined, len(data)
