"""A run of retraining, step by step. Each step may be begun again: what is there is not made twice."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.domain import Fingerprint, Work, WorkKind
from jobs.domain.access import DEFAULT_PROJECT
from jobs.domain.retraining import Run, RunState
from jobs.domain.times import instant
from jobs.errors import JobsError, StorageUnavailable, WorkLost
from jobs.leased_work.held import Hold, WorkStopped
from jobs.retraining.gate import FIGURES, Decision, Figures, judge
from jobs.retraining.run_store import RunCancelled
from jobs.spans import span
from jobs.sql.errors import DATABASE_AWAY
from ncl_model.errors import NclModelError
from nclscreen.services.models import promote, register
from nclscreen.services.own_commands import run_command
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.snapshots import Snapshot, take_snapshot
from nclscreen.services.training_told import training_told
from nclscreen.wiring import Wiring

logger = logging.getLogger(__name__)

#: how soon a run sees that it was cancelled
_LOOK_S = 2.0
#: before a storage that is away is asked again
_AWAY_S = 60.0
#: what the gate calls reviewed photographs that were kept for judging
REVIEWED = "reviewed"


class TooFewReviews(JobsError):
    """There is not enough to learn from."""


class NoRecipe(JobsError):
    """The champion does not say how it was trained, and nobody else does."""


class Retraining:
    """Does runs; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.RETRAINING

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Go on with a run where it stands. Raises WorkStopped, WorkLost, or one of DATABASE_AWAY.

        A run that cannot be done is over, with the reason; the champion stays as it is.
        """
        runs = self._wiring.runs
        try:
            _Going(self._wiring, work, hold, stop).go()
        except (WorkStopped, WorkLost, *DATABASE_AWAY):
            raise
        except RunCancelled:
            runs.finish(work, RunState.CANCELLED, **self._told(work))
        except StorageUnavailable as error:
            runs.work.release(work, after_s=_AWAY_S, reason=str(error))
        except (JobsError, NclModelError, OSError) as error:
            logger.warning("run %s failed: %s", work.subject, error)
            runs.finish(work, RunState.FAILED, error=str(error), **self._told(work))

    def _told(self, work: Work) -> dict[str, Any]:
        """How far its training came, if it was here."""
        told = training_told(self._wiring.settings.home / "runs" / work.subject / "train")
        return {} if told is None else {"training": told}

    def give_up(self, work: Work, why: str) -> None:
        """It ends whoever takes it."""
        self._wiring.runs.finish(work, RunState.FAILED, error=why)


class _Going:
    """One run in one thread's hands."""

    def __init__(self, wiring: Wiring, work: Work, hold: Hold, stop: threading.Event) -> None:
        self._wiring = wiring
        self._runs = wiring.runs
        self._work = work
        self._hold = hold
        self._stop = stop
        self._run = self._runs.get(work.subject)
        self._request = RetrainRequest.of(self._run.request)
        self._folder = wiring.settings.home / "runs" / self._run.id
        self._next_look = 0.0

    def go(self) -> None:
        """All steps, those that are done already quickly."""
        self._request.check()
        champion = self._wiring.current_model
        parent = self._run.parent or champion.fingerprint
        self._run = self._runs.enter(self._work, RunState.SNAPSHOT, parent=parent)
        snapshot = self._snapshot()
        told = {name: value for name, value in snapshot.contents.items() if name != "photographs"}
        self._enter(RunState.TRAINING, snapshot=snapshot.sha256, contents=told)
        before = self._wiring.weights_of(parent)
        self._train(snapshot, before)
        self._enter(RunState.RELEASE, training=training_told(self._folder / "train"))
        weights = self._release(snapshot)
        self._enter(RunState.JUDGING)
        champion_figures, challenger_figures = self._figures("champion", before), self._figures("challenger", weights)
        rules = self._request.gate_rules()
        decision = judge(rules, champion_figures, challenger_figures)
        told = {"champion": champion_figures, "challenger": challenger_figures, "rules": rules.to_dict()}
        self._enter(RunState.PROMOTION, decision=decision.to_dict() | told)
        self._end(decision, weights, parent, challenger_figures)

    def _snapshot(self) -> Snapshot:
        snapshot = take_snapshot(self._wiring, self._request, DEFAULT_PROJECT, self._folder, self._going_on)
        reviewed, least = snapshot.contents["reviewed"], self._request.least_reviews
        if reviewed < least:
            raise TooFewReviews(f"{reviewed} reviewed photographs can be learnt from, {least} are asked for")
        return snapshot

    def _train(self, snapshot: Snapshot, before: Path) -> None:
        request = self._request
        recipe = self._recipe(before)
        arguments = ["train", recipe, *self._sources(snapshot), "--out", str(self._folder / "train")]
        arguments += self._weak_share(recipe, snapshot)
        arguments += ["--workers", request.workers, "--leave-out-bad", "--json"]
        for name, value in (("--steps", request.steps), ("--minutes", request.minutes)):
            arguments += [] if value is None else [name, f"{value:g}"]
        if request.from_champion:
            arguments += ["--start-from", str(before)]
        self._command("train", arguments)

    def _weak_share(self, recipe: str, snapshot: Snapshot) -> list[str]:
        """How much is learnt from labels alone: what was asked for where there are such, as far as the recipe has room.

        The champion's own recipe says what was so when it was trained; a recipe that somebody named is left as it is.
        """
        from ncl_model.training.recipe import TrainConfig

        asked = self._request.weak if snapshot.contents.get("labels_alone") else 0.0
        config = TrainConfig.load(recipe)
        if self._request.recipe is not None and (config.weak > 0 or not asked):
            return []
        return ["--set", f"weak={min(asked, max(0.0, 1 - config.people - config.synthetic)):g}"]

    def _release(self, snapshot: Snapshot) -> Path:
        weights = self._folder / "challenger.safetensors"
        if not weights.exists():
            checkpoint = self._wiring.current_model.checkpoint
            named = ["--name", self._request.name or checkpoint.name, "--version", self._run.id]
            arguments = ["release", str(self._folder / "train" / "weights.safetensors"), *self._sources(snapshot)]
            arguments += ["--out", str(weights), *named, "--accept-worse", "--json"]
            self._command("release", arguments)
        return weights

    def _figures(self, who: str, weights: Path) -> dict[str, dict[str, float | None]]:
        """By set and figure, as the gate takes them."""
        sets = [*self._request.evaluate]
        held_out = self._folder / "held_out"
        if (held_out / "index.csv").exists():
            sets.append(str(held_out))
        if not sets:
            return {}
        arguments = ["evaluate", "--weights", str(weights), "--out", str(self._folder / f"judged-{who}"), "--json"]
        for path in sets:
            arguments += ["--data", path]
        found = json.loads(self._command(f"judged-{who}", arguments).read_text(encoding="utf-8"))["sets"]
        names = [each["name"] for each in found[: len(self._request.evaluate)]]
        names += [REVIEWED] * (len(found) - len(names))
        return {name: _flat(each) for name, each in zip(names, found, strict=True)}

    def _end(self, decision: Decision, weights: Path, parent: Fingerprint, figures: Figures) -> None:
        if not decision.accepted:
            self._runs.finish(self._work, RunState.REFUSED, error="; ".join(decision.reasons))
            return
        version = register(
            self._wiring,
            weights,
            parent=parent,
            run_id=self._run.id,
            snapshot=self._run.snapshot,
            metrics={name: dict(each) for name, each in figures.items()},
        )
        now = self._wiring.current_model.fingerprint
        if not self._request.promote or now not in (parent, version.fingerprint):
            why = None if not self._request.promote else "another model was promoted meanwhile; this one was not"
            self._runs.finish(self._work, RunState.ACCEPTED, error=why, fingerprint=version.fingerprint)
            return
        reason = f"run {self._run.id} passed the gate"
        promote(self._wiring, version.fingerprint, actor="retraining", reason=reason, run_id=self._run.id)
        self._runs.finish(self._work, RunState.PROMOTED, fingerprint=version.fingerprint)

    def _recipe(self, before: Path) -> str:
        if self._request.recipe is not None:
            return self._request.recipe
        from ncl_model.inference.checkpoint import load_checkpoint
        from ncl_model.training.recipe import with_current_names

        recipe = load_checkpoint(before).provenance.get("recipe")
        if not isinstance(recipe, dict):
            raise NoRecipe("the champion does not say which recipe it was trained by; name one")
        path = self._folder / "recipe.json"
        path.write_text(json.dumps(with_current_names(recipe)), encoding="utf-8")
        return str(path)

    def _sources(self, snapshot: Snapshot) -> list[str]:
        paths = [*self._request.data, *([] if snapshot.train is None else [str(snapshot.train)])]
        return [part for path in paths for part in ("--data", path)]

    def _command(self, name: str, arguments: Sequence[str]) -> Path:
        """What it printed, as a file."""
        result = self._folder / f"{name}.json"
        if not result.exists():
            with span(name):
                run_command(arguments, self._folder / f"{name}.log", result, self._going_on)
        return result

    def _enter(self, state: RunState, **values: Any) -> None:
        self._run = self._runs.enter(self._work, state, **values)

    def _going_on(self) -> None:
        """Raises WorkStopped, WorkLost, RunCancelled."""
        self._hold.check(self._stop)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_S
            if self._runs.get(self._run.id).cancelled:
                raise RunCancelled(f"run {self._run.id} was cancelled")


def _flat(figures: dict[str, Any]) -> dict[str, float | None]:
    """The figures of one set that rules may name."""
    flagging = figures.get("flagging") or {}
    return {name: flagging.get(name, figures.get(name)) for name in sorted(FIGURES)}


def run_document(run: Run) -> dict[str, Any]:
    """As JSON types."""
    return {
        "id": run.id,
        "state": run.state.value,
        "schedule": run.schedule_id,
        "request": dict(run.request),
        "parent": run.parent,
        "snapshot": run.snapshot,
        "contents": run.contents,
        "fingerprint": run.fingerprint,
        "decision": run.decision,
        "error": run.error,
        "cancelled": run.cancelled,
        "created_at": instant(run.created_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
    }
