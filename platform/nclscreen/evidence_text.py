"""Kinds of evidence in words, the same wherever a person looks.

A verdict's evidence is a document of `ncl_model.inference.evidence.Evidence`. Old verdicts and those of models with one
kind alone have none: then nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.domain import Verdict
from ncl_model.inference.evidence import COPIES, NO_GRID, PIXELS, TOGETHER, TOO_SMALL, TRACES, Evidence
from nclscreen.visible_text import visible_text

#: what a kind looks at
_NAMES = {
    PIXELS: "noise and edges",
    TRACES: "traces of earlier saving",
    TOGETHER: "noise, edges and traces taken together",
    COPIES: "copied regions",
}
#: why something could not be tested
_UNTESTABLE = {
    NO_GRID: "no JPEG grid stands out: traces of earlier saving cannot be tested",
    TOO_SMALL: "too small to be searched for copied regions",
}
#: between kinds in a table's cell; no spreadsheet takes it for a formula behind a letter
_BESIDE = "+"


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


def cell(kinds: Sequence[str], most: int | None = None) -> str:
    """The kinds in a column of a table: "copies+pixels", or "copies+pixels+2" beyond so many; empty for none."""
    named = list(kinds) if most is None or len(kinds) <= most else [*kinds[:most], str(len(kinds) - most)]
    return visible_text(_BESIDE.join(named))


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
    return (*said, *untested(evidence))


def untested(evidence: Evidence | None) -> tuple[str, ...]:
    """What could not be tested, and why; each thing once."""
    if evidence is None:
        return ()
    return tuple(dict.fromkeys(_untestable(kind, reason) for kind, reason in evidence.untestable.items()))


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


def untestable_in_words(images: Mapping[str, int]) -> str:
    """How many images could not be tested for what: "traces of earlier saving in 12, copied regions in 1"."""
    # what can be said of both experts together follows from that of traces
    return counts_in_words({kind: count for kind, count in images.items() if kind != TOGETHER})


def _name(kind: str) -> str:
    return _NAMES.get(kind) or visible_text(kind)


def _sentence(kind: str, evidence: Evidence) -> str:
    if kind != COPIES:
        return f"{_name(kind)} differ here"
    return _copied(evidence) if evidence.copies else "a region seems to be copied, too faintly to be drawn"


def _untestable(kind: str, reason: str) -> str:
    return _UNTESTABLE.get(reason) or visible_text(f"not tested for {_name(kind)}: {reason}")


def _copied(evidence: Evidence) -> str:
    return f"{'a region is' if len(evidence.copies) == 1 else 'regions are'} copied: {_places(evidence)}"


def _places(evidence: Evidence) -> str:
    """Pairs may share an end: only of one it is known how many places there are."""
    return "2 places" if len(evidence.copies) == 1 else f"{len(evidence.copies)} pairs of places"
