"""Runs of retraining as they stand in the database, without anything trained."""

from __future__ import annotations

from sqlalchemy import Engine

from jobs.domain import WorkKind
from jobs.domain.registry import Alias, RegisteredVersion
from jobs.domain.retraining import Run, RunState
from jobs.registry.model_registry import ModelRegistry
from jobs.retraining.run_store import RunStore
from jobs.testing import MovableClock

DECISION = {
    "accepted": True,
    "reasons": [],
    "champion": {"casia1/test": {"image_auc": 0.9, "recall": None}},
    "challenger": {"casia1/test": {"image_auc": 0.95, "recall": None}},
    "rules": {"sets": {"*": {"most_loss": {"image_auc": 0.02}}}},
}
TRAINING = {
    "recipe": {"batch_size": 8, "network": {"width": 32}, "milestones": [1, 2]},
    "code_version": "0.1.0",
    "curves": [
        {"step": 10.0, "elapsed_s": 2.0, "loss": 0.7},
        {"step": 20.0, "elapsed_s": 4.0, "loss": 0.5},
        {"step": 20.0, "elapsed_s": 4.5, "pixel_f1": 0.4},
    ],
}


class Loop:
    """What comes of retraining in one database."""

    def __init__(self, engine: Engine, clock: MovableClock) -> None:
        self.runs = RunStore(engine, clock)
        self.registry = ModelRegistry(engine, clock)

    def begun(self) -> Run:
        """A run that is judged, whose version is not registered yet."""
        self.runs.create({"data": ["casia1/train"], "minutes": 30})
        (self._work,) = self.runs.work.claim(WorkKind.RETRAINING, 1, 600)
        self.runs.enter(self._work, RunState.TRAINING, parent="aa" * 32, snapshot="5a" * 32, contents={"confirmed": 3})
        return self.runs.enter(self._work, RunState.PROMOTION, training=TRAINING, decision=DECISION)

    def end(self, state: RunState, **values: str) -> Run:
        return self.runs.finish(self._work, state, **values)  # type: ignore[arg-type]

    def promoted(self, fingerprint: str) -> Run:
        """A run from its beginning to its end, whose version is champion."""
        run = self.begun()
        self.register(fingerprint, run)
        self.move(fingerprint, run)
        return self.end(RunState.PROMOTED, fingerprint=fingerprint)

    def register(self, fingerprint: str, run: Run | None = None) -> RegisteredVersion:
        return self.registry.register(
            RegisteredVersion(
                fingerprint=fingerprint,
                name="tiny",
                version="1",
                weights_sha256=fingerprint[::-1],
                weights_uri=f"file:///models/{fingerprint}.safetensors",
                threshold=0.5,
                run_id=None if run is None else run.id,
                code_version="0.1.0",
            )
        )

    def move(self, fingerprint: str | None, run: Run | None = None) -> None:
        last = self.registry.current(Alias.CHAMPION)
        expected, run_id = 0 if last is None else last.number, None if run is None else run.id
        self.registry.move(Alias.CHAMPION, fingerprint, actor="ann", expected=expected, reason="so", run_id=run_id)
