"""Flagged images as lines, one after the other as they come: however many there are, none waits for the last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice

from jobs.domain import Job, ModelRef
from jobs.preparation.corpus import names_places
from jobs.sql.rows import tampered_area
from jobs.verdicts import FoundVerdict
from nclscreen.cli import output
from nclscreen.evidence_text import cell, fired_in
from nclscreen.quantities import area_in_words, score_in_words
from nclscreen.visible_text import visible_text

#: characters of "JOB/NUMBER" with numbers up to a hundred million
_REF_WIDTH = 25
_NUMBER_WIDTH = 9
_LONGEST_MODEL = 24
#: kinds of evidence that are named on a line, the loudest ones, and what that takes: "together+copies+2"
_MOST_KINDS, _EVIDENCE_WIDTH = 2, 17
#: images that are looked at before the first line: all of one model have evidence, or none
_LOOKED_AT = 100


def print_ranking(found: Iterable[FoundVerdict], *, job: Job | None = None, models: Sequence[ModelRef] = ()) -> bool:
    """One line for each image; False, and nothing printed, where there is none.

    `job` is the one they are all of, `models` those whose scores meet, if several do.
    The image comes last and is not padded: a long key makes its own line longer and no other. Of one job whose images
    lie in one place, the key alone is shown, else the whole address; `show` takes either, or the number. The kinds of
    evidence that fired have a column where one of the first images has any.
    """
    whole = job is None or names_places(job.source)
    names = [model.name[:_LONGEST_MODEL] for model in models]
    model_width = max(map(len, names), default=0)
    place = f"{'number':>{_NUMBER_WIDTH}}" if job is not None else f"{'verdict':<{_REF_WIDTH}}"
    rest = iter(found)
    first = list(islice(rest, _LOOKED_AT))
    if not first:
        return False
    with_evidence = any(each.verdict.evidence is not None for each in first)
    heading = f"score    area  {place}  {'model':<{model_width}}  " if names else f"score    area  {place}  "
    heading += f"{'evidence':<{_EVIDENCE_WIDTH}}  " if with_evidence else ""
    _print(f"{heading}image", style="bold")
    for each in chain(first, rest):
        verdict = each.verdict
        numbers = f"{score_in_words(verdict.score or 0.0)}  {area_in_words(tampered_area(verdict) or 0.0):>6}"
        named = f"{verdict.ordinal:>{_NUMBER_WIDTH}}" if job is not None else f"{each.ref!s:<{_REF_WIDTH}}"
        model = f"{visible_text(each.model.name[:_LONGEST_MODEL]):<{model_width}}  " if names else ""
        kinds = cell(fired_in(verdict, each.threshold), _MOST_KINDS) or "-"
        evidence = f"{kinds:<{_EVIDENCE_WIDTH}}  " if with_evidence else ""
        _print(f"{numbers}  {named}  {model}{evidence}{visible_text(verdict.uri if whole else verdict.key)}")
    return True


def tell_nothing(*, asked: bool) -> None:
    """Said instead of an empty list; `asked`: something was filtered by."""
    none_like_that = "no flagged image is like that; 'flagged' without filters lists all"
    output.err.print(none_like_that if asked else "no image is flagged")


def mixed_scores(models: Sequence[ModelRef]) -> str:
    """What must be said where scores of several models meet in one list."""
    named = ", ".join(f"{visible_text(model.name)} ({model.fingerprint[:12]})" for model in models)
    return (
        f"scores of {len(models)} models in one list, which do not compare: {named}; "
        "see one model's with --model NAME, or one job's with --job ID"
    )


def _print(line: str, style: str | None = None) -> None:
    # no wrapping: the terminal does it, and what is copied from there has no line ends in it
    output.out.print(line, style=style, markup=False, soft_wrap=True)
