"""The training loop, the same for one worker and for many: step, agree, and now and then log, save, validate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from ncl_model.training.batches import Batch
from ncl_model.training.run_recorder import RunRecorder, unheard
from ncl_model.training.trainer import Trainer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepDecision:
    """What the leading worker decided after a step; the same on all of them."""

    #: wall time of training so far, earlier sittings included
    elapsed_s: float
    log: bool
    save: bool
    validate: bool
    stop: bool


def never() -> bool:
    """Nobody asks to stop."""
    return False


class Loop:
    """Runs a trainer to the end of its budget."""

    def __init__(
        self,
        trainer: Trainer,
        recorder: RunRecorder | None,
        *,
        stop: Callable[[], bool] = never,
        noted: Callable[[dict[str, Any]], None] = unheard,
        saved: Callable[[dict[str, Any]], None] = unheard,
    ) -> None:
        """``recorder`` is the leading worker's; others have None.

        ``stop`` is asked on the leading worker after every step. ``noted`` gets every row of the log there;
        ``saved`` is called on every worker after each save, with the last row and the validation's figures.
        """
        self._trainer = trainer
        self._recorder = recorder
        self._stop = stop
        self._noted = noted
        self._saved = saved
        self._row: dict[str, Any] = {}
        self._told: set[str] = set()

    def run(self, batches: Iterator[Batch]) -> bool:
        """Train until the budget is used up (True) or ``stop`` says so (False); saved either way.

        Raises TrainingDiverged when the gradients are not finite again and again.
        """
        trainer = self._trainer
        self._began = time.monotonic() - trainer.elapsed_s
        self._logged_at = self._saved_at = self._validated_at = trainer.elapsed_s
        with closing(cast(Any, batches)):
            while not trainer.finished:
                batch = next(batches)
                self._tell(batch)
                trainer.train_step(batch)
                if trainer.device.type == "cpu":
                    trainer.totals.check()  # free here; on a GPU it would wait for the step
                decision = self._agree()
                trainer.elapsed_s = decision.elapsed_s
                if decision.log:
                    self._note()
                if decision.save:
                    self._save(decision)
                if decision.stop:
                    break
        return trainer.finished

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _agree(self) -> StepDecision:
        elapsed, *decisions = self._trainer.group.agree(self._decide())
        log, save, validate, stop = map(bool, decisions)
        return StepDecision(elapsed_s=elapsed, log=log, save=save, validate=validate, stop=stop)

    def _decide(self) -> list[float]:
        if not self._trainer.group.leads:
            return [0.0] * 5
        recipe, now = self._trainer.recipe, self._now
        by_steps = recipe.steps is not None and self._trainer.step >= recipe.steps
        done = by_steps or (recipe.minutes is not None and now >= 60 * recipe.minutes)
        stop = self._stop()
        validate = done or (not stop and now - self._validated_at >= 60 * recipe.validate_minutes)
        save = validate or stop or now - self._saved_at >= 60 * recipe.save_minutes
        log = save or now - self._logged_at >= recipe.log_s
        return [now, log, save, validate, stop]

    def _note(self) -> None:
        trainer = self._trainer
        means = trainer.totals.means(trainer.group)
        if self._recorder is not None:
            self._row = self._recorder.note(trainer, means, trainer.elapsed_s - self._logged_at)
            self._noted(self._row)
        self._logged_at = trainer.elapsed_s

    def _save(self, decision: StepDecision) -> None:
        if self._recorder is not None:
            self._recorder.save(self._trainer, validate=decision.validate, noted=self._noted)
            figures = self._recorder.metrics.get("validation", {})
            self._row = {**self._row, **{k: v for k, v in figures.items() if isinstance(v, int | float)}}
            self._noted(self._row)
        self._saved(dict(self._row))
        # what saving and validating took is no part of the next row's speed
        self._logged_at = self._saved_at = self._now
        if decision.validate:
            self._validated_at = self._saved_at

    def _tell(self, batch: Batch) -> None:
        for reason in batch.left_out:
            if reason not in self._told:
                self._told.add(reason)
                _logger.warning("a photograph was left out of the training: %s", reason)
                if self._recorder is not None:
                    self._recorder.log.event("left_out", step=self._trainer.step, reason=reason)
