"""Single fields of a recipe, as a command line says them: `batch_size=8`, `network.width=32`, `loss.omega=.03`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ncl_model.errors import ConfigInvalid
from ncl_model.training.recipe import TrainConfig, with_current_names

#: a run has one of these: who sets one leaves the other
_BUDGETS = frozenset({"minutes", "steps"})
_WORDS = {"true": True, "false": False, "null": None, "none": None}


def with_changes(recipe: TrainConfig, changes: Sequence[str]) -> TrainConfig:
    """The recipe with these fields; a part of it is reached by a dot, and the last of equal ones counts.

    Raises ConfigInvalid, which names the field, and for an unknown one the likeliest that was meant.
    """
    if not changes:
        return recipe
    values = recipe.to_dict()
    for change in changes:
        path, value = _parsed(change)
        _put(values, path, value)
    said = {change.partition("=")[0].strip() for change in changes} & _BUDGETS
    if len(said) == 1:
        (other,) = _BUDGETS - said
        values[other] = None
    return TrainConfig.from_dict(values)


def _parsed(change: str) -> tuple[list[str], Any]:
    name, equals, text = change.partition("=")
    path = name.strip().split(".")
    if not equals or not all(path):
        raise ConfigInvalid(name.strip() or change, "write field=value, as in batch_size=8 or network.width=32")
    return path, _value(text.strip())


def _value(text: str) -> Any:
    """JSON, or a number as people write it, or a word."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for read in (json.loads, float):
        with suppress(ValueError):
            return read(text)
    return text


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *sections, field = path
    if not sections:
        (field,) = with_current_names({field: value})
    for depth, name in enumerate(sections):
        inner = values.get(name)
        if not isinstance(inner, dict):
            raise ConfigInvalid(".".join(sections[: depth + 1]), _no_section(name, values))
        values = inner
    values[field] = value


def _no_section(name: str, values: dict[str, Any]) -> str:
    parts = [key for key, value in values.items() if isinstance(value, dict)]
    near = difflib.get_close_matches(name, parts, n=1)
    known = f"those with fields of their own are {', '.join(parts)}" if parts else "nothing here has fields of its own"
    return f"has no fields of its own; did you mean {near[0]!r}?" if near else f"has no fields of its own; {known}"
