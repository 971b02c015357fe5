"""The score histogram as numbers for an SVG drawing: bars, ticks, and the line of the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nclscreen.quantities import counted

#: size of the drawing and of the field inside its axes, in SVG units
WIDTH, HEIGHT = 880, 290
LEFT, RIGHT, TOP, BOTTOM = 72, 16, 50, 56
#: a linear scale would hide bars so much smaller than the highest
_LOG_ABOVE_RATIO = 150
_LEAST_HEIGHT = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar, or the part of one on one side of the threshold."""

    x: float
    y: float
    width: float
    height: float
    flagged: bool
    #: said on hover
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Everything the template needs to draw it."""

    bars: tuple[Bar, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    threshold_x: float
    #: the label stands left of the line where there is no room on its right
    label_left: bool
    log_scale: bool
    scored: int


def histogram(bins: Sequence[int], threshold: float) -> Histogram:
    """Lay out counts over equal score bins of [0, 1]. A bar with the threshold inside is coloured on both sides."""
    peak = max(bins, default=0)
    smallest = min((count for count in bins if count), default=0)
    log_scale = peak > _LOG_ABOVE_RATIO * max(1, smallest)
    bars: list[Bar] = []
    for index, count in enumerate(bins):
        if count:
            bars.extend(_bars(index, count, len(bins), threshold, _share(count, peak, log_scale)))
    return Histogram(
        bars=tuple(bars),
        y_ticks=tuple(Tick(at=_y(_share(n, peak, log_scale)), label=_short(n)) for n in _marks(peak, log_scale)),
        x_ticks=tuple(Tick(at=_x(tenth / 10), label=f"{tenth / 10:g}") for tenth in range(0, 11, 2)),
        threshold_x=_x(threshold),
        label_left=threshold > 0.75,
        log_scale=log_scale,
        scored=sum(bins),
    )


def _bars(index: int, count: int, bins: int, threshold: float, share: float) -> list[Bar]:
    low, high = index / bins, (index + 1) / bins
    height = max(_LEAST_HEIGHT, share * (HEIGHT - TOP - BOTTOM))
    title = f"score {low:.2f} to {high:.2f}: {counted(count, 'image')}"
    cut = min(max(threshold, low), high)
    return [
        Bar(
            x=_x(start),
            y=HEIGHT - BOTTOM - height,
            width=_x(end) - _x(start) - (1.0 if end == high else 0.0),
            height=height,
            flagged=flagged,
            title=title,
        )
        for start, end, flagged in ((low, cut, False), (cut, high, True))
        if end > start
    ]


def _x(score: float) -> float:
    return LEFT + min(max(score, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _share(count: int, peak: int, log_scale: bool) -> float:
    """Height of a count in [0, 1] of the field."""
    if not peak:
        return 0.0
    return math.log1p(count) / math.log1p(peak) if log_scale else count / peak


def _short(count: int) -> str:
    """A round count in few characters: 5,000, 20 k, 3 M."""
    if count >= 1_000_000:
        return f"{count / 1e6:g} M"
    return f"{count / 1e3:g} k" if count >= 10_000 else f"{count:,}"


def _marks(peak: int, log_scale: bool) -> list[int]:
    """Round counts for the vertical axis, at most about six."""
    if not peak:
        return [0]
    if log_scale:
        # from 10 on: 1 would stand on top of 0
        powers = [10**power for power in range(1, int(math.log10(peak)) + 1)]
        return [0, *powers[:: math.ceil(len(powers) / 4)]]
    step = next(s * 10**e for e in range(12) for s in (1, 2, 5) if peak <= 4.5 * s * 10**e)
    return list(range(0, peak + 1, step))
