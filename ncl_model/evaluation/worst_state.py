"""Statistics of authentic photographs, each in the worst of its benign states: what a rule of evidence is fitted on."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.data.file_bytes import read_file
from ncl_model.errors import ImageUnreadable
from ncl_model.evaluation.survey import Part, Seen, nobody
from ncl_model.imaging.benign import BENIGN
from ncl_model.imaging.decoding import decode_photo
from ncl_model.inference.predictor import Predictor
from ncl_model.shown_text import one_line

#: states in which copied regions are searched for as well, as the search is dear: docs/evidence.md says what that costs
_SEARCHED = frozenset({None, "screenshot"})


@dataclass(kw_only=True)
class WorstStates:
    """By photograph, in one order."""

    #: the largest of each kind of evidence
    statistics: list[dict[str, float]] = field(default_factory=list)
    #: the source of each
    sources: list[str] = field(default_factory=list)
    #: the state in which each kind was largest, counted
    states: dict[str, Counter[str]] = field(default_factory=dict)

    def columns(self) -> dict[str, list[float]]:
        """(N,) statistics by kind; a kind that some photograph cannot be tested for counts as its least there."""
        kinds = sorted({kind for each in self.statistics for kind in each})
        least = {kind: min(each[kind] for each in self.statistics if kind in each) for kind in kinds}
        return {kind: [each.get(kind, least[kind]) for each in self.statistics] for kind in kinds}


def worst_states(predictor: Predictor, parts: Sequence[Part], *, seen: Seen = nobody) -> WorstStates:
    """Run every authentic photograph of the parts as it is and after each benign operation.

    Photographs that cannot be read are named on standard error and left out. ``seen`` is called for each.
    """
    found = WorstStates()
    for part in parts:
        for sample in part.samples:
            if sample.tampered:
                continue
            seen()
            try:
                data = read_file(sample.image)
                by_state = _by_state(predictor, data)
            except (OSError, ImageUnreadable) as error:
                sys.stderr.write(one_line(f"left out: {sample.image}: {error}") + "\n")
                continue
            _add(found, by_state, part.name)
    return found


def _by_state(predictor: Predictor, data: bytes) -> dict[str | None, Mapping[str, float]]:
    """Statistics by the name of the operation, None for the photograph as it is."""
    pixels = decode_photo(data)
    found: dict[str | None, Mapping[str, float]] = {None: _statistics(predictor, data, copies=None in _SEARCHED)}
    for operation in BENIGN:
        file = operation.file(pixels) if operation.quality else _bitmap(operation.pixels(pixels))
        found[operation.name] = _statistics(predictor, file, copies=operation.name in _SEARCHED)
    return found


def _bitmap(pixels: NDArray[np.uint8]) -> bytes:
    """As a file without loss that is quickly written, which a PNG of many megapixels is not."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "BMP")
    return buffer.getvalue()


def _statistics(predictor: Predictor, data: bytes, *, copies: bool) -> Mapping[str, float]:
    image = predictor.decode(data)
    size = (image.valid_height, image.valid_width)
    return predictor.judge(np.asarray(image.pixels)[None], [size], [image.blocks], copies=copies)[0].statistics


def _add(found: WorstStates, by_state: Mapping[str | None, Mapping[str, float]], source: str) -> None:
    worst: dict[str, float] = {}
    for kind in {kind for each in by_state.values() for kind in each}:
        known = {name: each[kind] for name, each in by_state.items() if kind in each}
        name = max(known, key=lambda state: known[state])
        worst[kind] = known[name]
        found.states.setdefault(kind, Counter())[name or "as it is"] += 1
    found.statistics.append(worst)
    found.sources.append(source)
