"""Fields of a request's model, taken from the use case's own request: one place says what may be asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, get_type_hints


def fields_of(request: type[Any], *, without: Collection[str] = ()) -> dict[str, Any]:
    """For `pydantic.create_model`: name to (type, default) of a dataclass's fields, in their order."""
    hints = get_type_hints(request)
    return {
        field.name: (hints[field.name], ... if field.default is dataclasses.MISSING else field.default)
        for field in dataclasses.fields(request)
        if field.name not in without
    }
