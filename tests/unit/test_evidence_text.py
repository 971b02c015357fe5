"""Kinds of evidence in words: what fired, what it means, and that nothing is said where nothing is known."""

from __future__ import annotations

from collections import Counter

import pytest
from support.builders import entry, scored
from support.made_evidence import evidence

from ncl_model.inference.evidence import Evidence
from nclscreen.evidence_text import (
    cell,
    counts_in_words,
    evidence_of,
    fired,
    fired_in,
    remarks,
    scores_in_words,
    sentences,
    untestable_in_words,
)


def made(pairs: int = 0, **scores: float) -> Evidence:
    found = evidence_of(evidence(pairs, **scores))
    assert found is not None
    return found


def said(pairs: int, threshold: float = 0.95, **scores: float) -> tuple[str, ...]:
    found = made(pairs, **scores)
    kinds = fired(found, threshold, flagged=max(scores.values()) >= threshold)
    return (*sentences(found, kinds), *remarks(found, kinds))


def test_the_kinds_that_alone_reach_the_threshold_fire_the_loudest_first() -> None:
    found = made(1, pixels=0.96, traces=0.2, copies=0.99)
    assert fired(found, 0.95, flagged=True) == ("copies", "pixels")
    assert fired(found, 0.98, flagged=True) == ("copies",)
    assert fired(found, 0.95, flagged=False) == ()
    assert cell(("copies", "pixels")) == "copies+pixels"


def test_a_flagged_image_always_has_a_kind_that_fired() -> None:
    """Scores by kind are rounded where they are kept: 0.95454545 is less than the threshold it reached by then."""
    found = made(pixels=21 / 22, traces=0.1)
    assert found.scores["pixels"] < 21 / 22
    assert fired(found, 21 / 22, flagged=True) == ("pixels",)
    rounded_up = made(pixels=20.9999999 / 22)
    assert fired(rounded_up, 21 / 22, flagged=False) == ()


def test_each_kind_says_what_it_saw() -> None:
    quiet = {"pixels": 0.1, "traces": 0.1, "copies": 0.1}
    assert said(0, **quiet | {"pixels": 0.99}) == ("noise and edges differ here",)
    assert said(0, **quiet | {"traces": 0.99}) == ("traces of earlier saving differ here",)
    assert said(0, **quiet | {"together": 0.99}) == ("noise, edges and traces taken together differ here",)
    assert said(1, **quiet | {"copies": 0.99}) == ("a region is copied: 2 places",)
    assert said(3, **quiet | {"copies": 0.99}) == ("regions are copied: 3 pairs of places",)
    assert said(0, **quiet) == ()


def test_whatever_is_drawn_is_explained() -> None:
    assert said(1, 0.97, pixels=0.99, copies=0.92) == (
        "noise and edges differ here",
        "2 places look alike, below the threshold",
    )
    assert said(0, 0.7, pixels=0.2, copies=0.8) == ("a region seems to be copied, too faintly to be drawn",)


def test_what_could_not_be_tested_is_said_once_with_the_reason() -> None:
    scaled = Evidence(scores={"pixels": 0.99}, untestable={"traces": "no_grid", "together": "no_grid"})
    assert sentences(scaled, ("pixels",)) == ("noise and edges differ here",)
    assert remarks(scaled, ("pixels",)) == ("no JPEG grid stands out: traces of earlier saving cannot be tested",)
    nothing = Evidence(scores={}, untestable={"copies": "too_small", "traces": "\u202enew"})
    assert fired(nothing, 0.0, flagged=True) == ()
    assert (sentences(nothing, ()), scores_in_words(nothing)) == ((), "")
    small, unknown = remarks(nothing, ())
    assert small == "too small to be searched for copied regions"
    assert unknown == "not tested for traces of earlier saving: \\u202enew"


def test_what_could_not_be_tested_is_counted() -> None:
    counted = untestable_in_words({"traces": 12, "together": 12, "copies": 1})
    assert counted == "traces of earlier saving in 12, copied regions in 1"
    assert untestable_in_words({}) == ""


def test_a_narrow_cell_names_the_loudest_and_how_many_more() -> None:
    kinds = ("copies", "together", "traces", "pixels")
    assert cell(kinds) == "copies+together+traces+pixels"
    assert cell(kinds, 2) == "copies+together+2"
    assert cell(kinds[:2], 2) == "copies+together"


def test_scores_and_counts_come_with_the_most_first() -> None:
    assert scores_in_words(made(pixels=0.5, traces=0.25, copies=0.991)) == (
        "copied regions 0.991, noise and edges 0.500, traces of earlier saving 0.250"
    )
    assert counts_in_words(Counter(pixels=3, copies=1100, traces=0)) == "copied regions in 1,100, noise and edges in 3"
    assert counts_in_words({}) == ""


def test_old_verdicts_and_those_of_one_kind_alone_say_nothing() -> None:
    old = scored(0, entry("a.jpg"), 0.9)
    assert fired_in(old, 0.5) == ()
    assert (*sentences(None, ()), *remarks(None, ())) == ()
    assert (scores_in_words(None), cell(())) == ("", "")


@pytest.mark.parametrize("kind", ["\u202eevil", "two\nlines"])
def test_a_kind_that_nobody_knows_is_shown_safely(kind: str) -> None:
    found = made(**{kind: 0.99, "copies": 0.1})
    shown = [*sentences(found, (kind,)), scores_in_words(found), cell((kind,)), counts_in_words({kind: 2})]
    assert all("\n" not in text and "\u202e" not in text for text in shown)
