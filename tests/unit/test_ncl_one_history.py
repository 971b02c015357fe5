"""One history for both classes: nothing that happens to photographs tells who was tampered with.

What the network could learn instead of tampering: that one class is saved, resized or exported more often. Steps are
counted where the pipeline calls them, over many samples of every kind; they themselves do nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.textured import textured
from support.training_material import Pictures, forged, recipe

from ncl_model.data import edits, laundering
from ncl_model.training import samples
from ncl_model.training.samples import make_sample

DRAWS = 1600
#: four standard deviations of a difference of two rates of one half
APART = 4 * (2 * 0.25 / DRAWS) ** 0.5
CLASSES = {"people": (1.0, 0.0), "synthetic": (0.0, 1.0), "authentic": (0.0, 0.0)}

Rates = dict[str, dict[str, float]]
Answer = Callable[[tuple[Any, ...]], object]


REGIONS = np.ones((48, 64), np.uint8)
REGIONS[10:34, 10:40] = 2
MATERIAL = Pictures(
    tampered=[forged(i, 48, 64) for i in range(3)],
    authentic=[textured(i, 48, 64) for i in range(3)],
    shapes=[(i, REGIONS) for i in range(3)],
)


class Steps:
    """Counts of the steps, by where they are taken."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.counted: Counter[str] = Counter()
        self._patch = patch
        for name in ("_cropped", "rescale", "_lossless"):
            self._count(laundering, name, f"laundering {name.strip('_')}", lambda given: given[:2])
        self._count(laundering, "_filtered", "laundering filtered", lambda given: given[0])
        self._count(laundering, "resave", "laundering saved", lambda given: given[0])
        self._count(samples, "launder", "laundered", None)
        self._count(samples, "rescale", "history scaled", lambda given: given[:2])
        self._saves()
        for name in ("splice", "copy_move", "erase", "retouch"):
            self._count(edits, name, name, lambda given: (given[0], np.ones(given[0].shape[:2], np.bool_)))
        self._count(edits, "everywhere", "twin", lambda given: given[0])

    def _count(self, module: object, name: str, word: str, answer: Answer | None) -> None:
        """``answer`` stands for what the step would have given; None: it is taken in earnest."""
        real = getattr(module, name)

        def step(*given: Any, **options: Any) -> object:
            self.counted[word] += 1
            return real(*given, **options) if answer is None else answer(given)

        self._patch.setattr(module, name, step)

    def _saves(self) -> None:
        """Saves of the pipeline itself are told apart by the qualities they draw from."""
        words = {samples._FIRST_QUALITIES: "history saved", samples._QUALITIES: "saved after editing"}

        def draw(rng: np.random.Generator, low: int, high: int, **like: object) -> str:
            return words[(low, high)]

        def save(pixels: object, word: str) -> object:
            self.counted[word] += 1
            return pixels

        self._patch.setattr(samples, "draw_settings", draw)
        self._patch.setattr(samples, "resave", save)


def rates(patch: pytest.MonkeyPatch, classes: dict[str, tuple[float, float]] = CLASSES) -> Rates:
    """How often each step is taken per sample, class by class."""
    found = {}
    for name, (people, synthetic) in classes.items():
        with patch.context() as context:
            steps = Steps(context)
            ours = recipe(people=people, synthetic=synthetic)
            for seed in range(DRAWS):
                make_sample(MATERIAL, ours, np.random.default_rng((seed, 7)))
        found[name] = {step: count / DRAWS for step, count in steps.counted.items()}
    return found


@pytest.fixture(scope="module")
def found() -> Rates:
    with pytest.MonkeyPatch.context() as patch:
        return rates(patch)


@pytest.mark.parametrize(
    "step", ["laundered", *(f"laundering {s}" for s in ("saved", "rescale", "cropped", "filtered", "lossless"))]
)
def test_laundering_is_one_draw_for_all(found: Rates, step: str) -> None:
    """Re-encodings, resizes, crops and lossless ends are as frequent for every class."""
    of_class = [found[name][step] for name in CLASSES]
    assert max(of_class) - min(of_class) < APART, (step, of_class)
    assert min(of_class) > 0.03


def test_authentic_photographs_are_saved_as_often_as_edited_ones(found: Rates) -> None:
    authentic, synthetic = (found[name]["saved after editing"] for name in ("authentic", "synthetic"))
    assert abs(authentic - synthetic) < APART
    assert authentic == pytest.approx(0.85, abs=0.03)


def test_hosts_have_the_history_of_authentic_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A splice's donor has a history of its own; without splices the steps before the edit are equally frequent."""
    monkeypatch.setattr(samples, "_COPY_MOVE", samples._SPLICE + samples._COPY_MOVE)
    monkeypatch.setattr(samples, "_SPLICE", 0.0)
    found = rates(monkeypatch, {name: CLASSES[name] for name in ("synthetic", "authentic")})
    for step in ("history saved", "history scaled"):
        assert abs(found["synthetic"][step] - found["authentic"][step]) < APART, step
        assert found["authentic"][step] > 0.5


def test_a_donor_adds_one_history_and_no_more(found: Rates) -> None:
    for step in ("history saved", "history scaled"):
        host = found["authentic"][step]
        assert found["synthetic"][step] == pytest.approx(host * (1 + samples._SPLICE), abs=2 * APART), step


def test_photographs_of_people_bring_their_own_history(found: Rates) -> None:
    """They were saved by whoever tampered with them; nothing but laundering is done to them."""
    assert not {"history saved", "history scaled", "saved after editing"} & found["people"].keys()
