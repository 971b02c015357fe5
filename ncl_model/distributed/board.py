"""Where the workers of a run on Ray tell how it goes, and hear that it should stop."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ncl_model.errors import NclModelError

#: seconds between two words of the leading worker to the board
_PAUSE_S = 1.0


class Notices:
    """The board itself; ``make_board`` makes an actor of it."""

    def __init__(self) -> None:
        self._notice: dict[str, Any] = {}
        self._stop = False
        self._error: NclModelError | None = None

    def post(self, notice: dict[str, Any]) -> bool:
        """Add to what is known; gives whether the run should stop."""
        self._notice |= notice
        return self._stop

    def read(self) -> dict[str, Any]:
        return self._notice

    def ask_stop(self) -> None:
        self._stop = True

    def fail(self, error: NclModelError) -> None:
        """An error that another attempt would meet again."""
        self._error = error

    def failure(self) -> NclModelError | None:
        return self._error


def make_board() -> Any:
    """A handle of an actor that costs no CPU. It lies where the run is followed: other nodes may be lost."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Notices).remote()


class Caller:
    """The leading worker's side: it posts, and never waits for an answer."""

    def __init__(self, board: Any) -> None:
        self._board = board
        self._answer: Any = None
        self._asked_at = 0.0
        self._stop = False

    def note(self, row: dict[str, Any]) -> None:
        """A row of the metrics."""
        self._board.post.remote({**row, "row_at": time.time()})

    def should_stop(self, notice: dict[str, Any]) -> bool:
        """What the board said last; about once a second it gets ``notice`` and is asked again."""
        if self._answer is not None and ray.wait([self._answer], timeout=0)[0]:
            self._stop = self._stop or bool(ray.get(self._answer))
            self._answer = None
        if self._answer is None and time.monotonic() - self._asked_at >= _PAUSE_S:
            self._asked_at = time.monotonic()
            self._answer = self._board.post.remote(notice)
        return self._stop
