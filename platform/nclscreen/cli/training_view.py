"""How a training run looks while it goes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from nclscreen.cli import output
from nclscreen.quantities import duration_in_words

_LINE_EVERY_S = 10.0
_BAR_WIDTH = 40
#: validation's figures, and how they are called in one line
_FIGURES = {"pixel_f1": "F1", "pixel_auc": "pixel AUC", "image_auc": "image AUC"}


class TrainingView:
    """Told what is known about the run, as often as one likes."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._known: dict[str, Any] = {}
        self._next_line = 0.0
        self._saving = False

    def note(self, notice: Mapping[str, Any]) -> None:
        """Add to what is known, and show it."""
        resumed_from = notice.get("resumed_from", self._known.get("resumed_from"))
        if resumed_from != self._known.get("resumed_from"):
            output.err.print(f"going on from the saved state of step {resumed_from:,}")
        self._known |= notice
        if self._live is not None:
            bar = ProgressBar(total=1.0, completed=float(self._known.get("progress", 0.0)), width=_BAR_WIDTH)
            self._live.update(Group(bar, Text(self.line)))
        elif ("step" in self._known or self._validating) and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            output.err.print(self.line, markup=False)

    def saving(self) -> None:
        """Say once that the wish to stop was heard."""
        if not self._saving:
            self._saving = True
            output.err.print("saving, then stopping; Ctrl-C again in some seconds stops at once")

    @property
    def known(self) -> dict[str, Any]:
        return self._known

    @property
    def line(self) -> str:
        """Loss, speed, time left and validation in words."""
        known = self._known
        if not known.get("step"):
            return self._validating or "starting: workers, data"
        parts = [f"step {known['step']:,}"]
        if _number(known.get("loss")):
            parts.append(f"loss {known['loss']:.3f}")
        if _number(known.get("images_per_s")):
            parts.append(f"{known['images_per_s']:.1f} images/s")
        progress, elapsed = known.get("progress", 0.0), known.get("elapsed_s", 0.0)
        if self._validating:
            parts.append(self._validating)
        elif progress:
            parts.append(f"{duration_in_words(elapsed * (1 - progress) / progress)} left")
        figures = [f"{name} {known[key]:.3f}" for key, name in _FIGURES.items() if _number(known.get(key))]
        if figures:
            parts.append("validation " + ", ".join(figures))
        if known.get("skipped"):
            parts.append(f"{known['skipped']} steps left out")
        return ", ".join(parts)

    @property
    def _validating(self) -> str:
        """How far a validation has come; empty when there is none."""
        done, total = self._known.get("validated", 0), self._known.get("to_validate", 0)
        return f"validating {done:,} of {total:,} images" if done < total else ""


@contextmanager
def training_view() -> Iterator[TrainingView]:
    """Show a run on standard error while the block runs."""
    if not output.err.is_terminal:
        yield TrainingView(None)
        return
    with Live(console=output.err, transient=True, refresh_per_second=4) as live:
        yield TrainingView(live)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
