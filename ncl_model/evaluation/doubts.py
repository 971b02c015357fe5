"""What speaks against shipping a model: worse than chance on validation, or chosen at the end of what was tried."""

from __future__ import annotations

from collections.abc import Sequence

from ncl_model.evaluation.figures import Evaluation
from ncl_model.evaluation.selection import MAP_RULES, SHIFTS
from ncl_model.inference.scoring import Rule

CHANCE = 0.5


def doubts_about(validation: Evaluation, shift: float, rule: Rule, *, asked: bool = False) -> list[str]:
    """Reasons in words, none when all is well.

    A value at the end of its grid means that the best one was probably not tried. ``asked``: somebody wanted this
    rule, so its number is no doubt.
    """
    return [*_worse_than_chance(validation), *_at_the_end(shift, None if asked else rule)]


def _worse_than_chance(validation: Evaluation) -> list[str]:
    figures = {"image AUC": validation.image_auc, "pixel AUC": validation.pixel_auc}
    return [
        f"{name} {value:.3f} on validation images: no better than chance, which is {CHANCE:g}"
        for name, value in figures.items()
        if value <= CHANCE
    ]


def _at_the_end(shift: float, rule: Rule | None) -> list[str]:
    found = []
    if shift in {SHIFTS[0], SHIFTS[-1]}:
        found.append(f"the logit shift {shift:g} is at the end of {_range(SHIFTS)}, all that was tried")
    if rule is not None and rule.map_rule is not None:
        numbers = [each.number for each in MAP_RULES if each.map_rule == rule.map_rule]
        if rule.number in {numbers[0], numbers[-1]}:
            found.append(
                f"the number of the score rule {str(rule)!r} is at the end of {_range(numbers)}, all that was tried"
            )
    return found


def _range(numbers: Sequence[float]) -> str:
    return f"{numbers[0]:g} to {numbers[-1]:g}"
