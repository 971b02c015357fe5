"""Kinds of evidence in words, the same wherever a person looks.

A verdict's evidence is a document of `ncl_model.inference.judging.Evidence`. Old verdicts and those of models with one
kind alone have none: then nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.domain import Verdict
from jobs.verdicts import EvidenceCounts
from ncl_model.inference.judging import COPIES, Evidence
from nclscreen.visible_text import visible_text

#: what a kind looks at
_NAMES = {"pixels": "noise and edges", "traces": "traces of earlier saving", COPIES: "copied regions"}
#: between kinds in a table's cell; no spreadsheet takes it for a formula behind a letter
_BESIDE = "+"

NOT_SEARCHED = "not searched for copied regions"


def evidence_of(document: Mapping[str, Any] | None) -> Evidence | None:
    """The evidence of a verdict, or of an answer of the model."""
    return None if document is None else Evidence.from_dict(document)


def fired(evidence: Evidence | None, threshold: float, *, flagged: bool) -> tuple[str, ...]:
    """The kinds that alone reach the threshold, the loudest first: at least one of a flagged image, else none.

    Scores by kind are rounded where they are kept, the image's own is not: the loudest kind flagged it in any case.
    """
    if evidence is None or not flagged or not evidence.scores:
        return ()
    return tuple(evidence.fired(min(threshold, max(evidence.scores.values()))))


def fired_in(verdict: Verdict, threshold: float) -> tuple[str, ...]:
    """The same of a verdict of a job with this threshold."""
    return fired(evidence_of(verdict.evidence), threshold, flagged=verdict.flagged)


def cell(kinds: Sequence[str]) -> str:
    """The kinds in a column of a table: "copies+pixels"; empty for none."""
    return visible_text(_BESIDE.join(kinds))


def sentences(evidence: Evidence | None, kinds: Sequence[str]) -> tuple[str, ...]:
    """What each of the kinds that fired says about the picture."""
    return () if evidence is None else tuple(_sentence(kind, evidence) for kind in kinds)


def remarks(evidence: Evidence | None, kinds: Sequence[str]) -> tuple[str, ...]:
    """What else a reader of the picture must know: what is drawn though it did not fire, what could not be tested."""
    if evidence is None:
        return ()
    said = []
    if evidence.copies and COPIES not in kinds:
        said.append(f"{_places(evidence)} look alike, below the threshold")
    if COPIES not in evidence.scores:
        said.append(NOT_SEARCHED)
    return tuple(said)


def scores_in_words(evidence: Evidence | None) -> str:
    """What each kind alone would give as the score, the loudest first; empty without any."""
    if evidence is None:
        return ""
    loudest = sorted(evidence.scores.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{_name(kind)} {score:.3f}" for kind, score in loudest)


def counts_in_words(images: Mapping[str, int]) -> str:
    """In how many images each kind fired, the most frequent first: "copied regions in 11, noise and edges in 3"."""
    frequent = sorted(images.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{_name(kind)} in {count:,}" for kind, count in frequent if count)


def untested_in_words(tested: EvidenceCounts) -> str:
    """How many images a kind that others were tested for could not be looked for in: "copied regions: 3 images"."""
    missing = {kind: tested.images - count for kind, count in tested.by_kind.items() if count}
    return ", ".join(
        f"{_name(kind)}: {count:,} image{'' if count == 1 else 's'}" for kind, count in missing.items() if count
    )


def _name(kind: str) -> str:
    return _NAMES.get(kind) or visible_text(kind)


def _sentence(kind: str, evidence: Evidence) -> str:
    if kind != COPIES:
        return f"{_name(kind)} differ here"
    return _copied(evidence) if evidence.copies else "a region seems to be copied, too faintly to be drawn"


def _copied(evidence: Evidence) -> str:
    return f"{'a region is' if len(evidence.copies) == 1 else 'regions are'} copied: {_places(evidence)}"


def _places(evidence: Evidence) -> str:
    """Pairs may share an end: only of one it is known how many places there are."""
    return "2 places" if len(evidence.copies) == 1 else f"{len(evidence.copies)} pairs of places"
