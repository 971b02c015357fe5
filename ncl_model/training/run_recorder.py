"""What the leading worker does beside training: it saves, validates and keeps the log."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ncl_model.data.sample import Sample
from ncl_model.errors import NclModelError
from ncl_model.evaluation.figures import evaluate
from ncl_model.inference.checkpoint import Checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.training.loss_totals import LossMeans
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import RunLog
from ncl_model.training.trainer import Trainer

_logger = logging.getLogger(__name__)

#: gets what is known of a run, by name
Noted = Callable[[dict[str, Any]], None]
#: seconds between two notices of a validation: on Ray each is a message
_TELL_EVERY_S = 1.0


def unheard(row: dict[str, Any]) -> None:
    """Nobody listens."""


class RunRecorder:
    """Files and log of one run, and its validation images."""

    def __init__(
        self, files: RunFiles, log: RunLog, validation: Sequence[Sample], provenance: Mapping[str, Any]
    ) -> None:
        self.files = files
        self.log = log
        self._validation = validation
        self._provenance = provenance
        #: figures of the last validation
        self.metrics: dict[str, Any] = {}

    def note(self, trainer: Trainer, means: LossMeans, seconds: float) -> dict[str, float]:
        """Log what the steps of the last ``seconds`` gave; gives the row."""
        row = {
            "step": trainer.step,
            "samples": trainer.step * trainer.recipe.batch_size,
            "elapsed_s": round(trainer.elapsed_s, 2),
            **means.losses,
            "learning_rate": trainer.rate,
            "images_per_s": trainer.recipe.batch_size * means.steps / max(seconds, 1e-9),
            "skipped": means.skipped,
            "progress": round(trainer.progress, 5),
        }
        self.log.row("step", row)
        return row

    def save(self, trainer: Trainer, *, validate: bool, noted: Noted = unheard) -> None:
        """State first, so that nothing is lost while validating; then the weights, with the newest figures.

        ``noted`` gets ``validated`` and ``to_validate``, numbers of images, while a validation goes on.
        """
        self.files.save_state(trainer.state())
        if validate and self._validation:
            self._validate(trainer, noted)
        self.files.save_weights(trainer.checkpoint(self.metrics, self._provenance))
        self.log.draw()

    def close(self) -> None:
        self.log.close()

    def _validate(self, trainer: Trainer, noted: Noted) -> None:
        """Figures of the weights as they would be shipped. What goes wrong here must not end the run."""
        checkpoint = trainer.checkpoint({}, {})
        try:
            figures = _figures(checkpoint, self._validation, str(trainer.device), told(noted))
        except (NclModelError, OSError) as error:
            _logger.warning("validation at step %d was left out: %s", trainer.step, error)
            self.log.event("validation_failed", step=trainer.step, reason=str(error))
            return
        self.metrics = {"validation": figures}
        where = {
            "step": trainer.step,
            "samples": trainer.step * trainer.recipe.batch_size,
            "elapsed_s": trainer.elapsed_s,
        }
        self.log.row("validation", where | {k: v for k, v in figures.items() if isinstance(v, int | float)})


def told(noted: Noted, every_s: float = _TELL_EVERY_S) -> Callable[[int, int], None]:
    """Progress of a validation as notices, at once, then once in ``every_s`` seconds, and at the end."""
    next_s = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal next_s
        now = time.monotonic()
        if now >= next_s or done == total:
            next_s = now + every_s
            noted({"validated": done, "to_validate": total})

    return progress


def _figures(
    checkpoint: Checkpoint, samples: Sequence[Sample], device: str, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    predictor = Predictor(checkpoint.build("the run's weights"), checkpoint, "float32", device)
    return dataclasses.asdict(evaluate(predictor, samples, progress))
