"""What a run keeps in its folder: the state to go on from, the weights to predict with, whole or also in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ncl_model.errors import CheckpointCorrupt, CheckpointError, OutputUnwritable
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ncl_model.training.parts import has_parts, join_parts, split_file
from ncl_model.training.run_names import STATE, WEIGHTS
from ncl_model.writing import replacing, writing


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """The folder of one run. Files are replaced whole: a reader sees the old one or the new one."""

    out: Path
    #: size of the parts that state and weights are also written in, in bytes; None: whole files alone
    part_bytes: int | None = None

    @property
    def state(self) -> Path:
        return self.out / STATE

    @property
    def weights(self) -> Path:
        return self.out / WEIGHTS

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write the state to go on from. Raises OutputUnwritable; the last one then stays."""
        with writing(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            try:
                with replacing(self.state) as partial, partial.open("wb") as file:
                    torch.save(dict(state), file)  # into a path would lose what the disk says
            except RuntimeError as error:  # torch's word for a disk that takes no more; behind it is the disk's own
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise OutputUnwritable(self.out, str(error).splitlines()[0]) from error
        self._split(self.state)

    def load_state(self) -> dict[str, Any] | None:
        """The saved state, put together from its parts if need be; None when there is none.

        Raises CheckpointCorrupt when the file is not what ``save_state`` wrote; no code in it is ever run.
        """
        if not self.state.is_file():
            if not has_parts(self.state):
                return None
            join_parts(self.state)
        try:
            state = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch's reader of damaged files raises anything, KeyError included
            reason = (str(error).splitlines() or [""])[0].partition(". This is an internal")[0]
            reason = reason if isinstance(error, RuntimeError | OSError) else f"{type(error).__name__}: {reason}"
            raise self._corrupt(reason) from error
        if not isinstance(state, dict):
            raise self._corrupt(f"holds a {type(state).__name__}")
        return state

    def save_weights(self, checkpoint: Checkpoint) -> None:
        """Write the weights to predict with. Raises OutputUnwritable; the last ones then stay."""
        save_checkpoint(self.weights, checkpoint)
        self._split(self.weights)

    def has_weights_of(self, step: int) -> bool:
        """Whether the weights there are whole, and those after ``step`` steps."""
        try:
            return bool(load_checkpoint(self.weights).provenance.get("steps") == step)
        except CheckpointError:
            return False

    def _split(self, path: Path) -> None:
        if self.part_bytes is not None:
            with writing(self.out):
                split_file(path, self.part_bytes)

    def _corrupt(self, reason: str) -> CheckpointCorrupt:
        remedy = "Remove it to start this run anew, or bring back a whole copy"
        return CheckpointCorrupt(self.state, f"not a complete saved state ({reason})", remedy)
