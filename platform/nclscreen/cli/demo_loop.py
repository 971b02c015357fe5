"""`demo-loop`: screen, review, retrain, judge, promote, screen again, roll back, on the demo's photographs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from jobs.domain import Decision, ImageKey, Job, RetryImages
from jobs.domain.drawings import DrawingKind
from jobs.domain.retraining import Run, RunState
from jobs.domain.states import FINAL
from nclscreen.cli import output
from nclscreen.cli.run_view import RunView
from nclscreen.cli.runs import print_run
from nclscreen.interrupts import heed_termination
from nclscreen.services.changing import changes
from nclscreen.services.drawings import NewDrawing
from nclscreen.services.models import roll_back
from nclscreen.services.rescreening import RescreenRequest, rescreen
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.reviewing import ReviewRequest, review
from nclscreen.services.scheduling import retrain
from nclscreen.services.session import Session, running_session
from nclscreen.services.submission import submit
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.surroundings import load_settings, make_folder
from nclscreen.wiring import Wiring

#: photographs that the stand-in for a person decides on, the highest scores first
_REVIEWED = 30
#: other edits of the same photographs, to learn from and to judge by
_LESSONS, _JUDGES = 1000, 2000
#: photographs that nothing is learnt from
_FOR_JUDGING = {"retina", "rocket"}
#: of each kind to judge by: enough to see the gate at work
_JUDGED = 10
_LOOK_S = 0.5
_REVIEWER = "stand-in"


def demo_loop(
    out: Annotated[Path, typer.Option(help="Folder for the photographs, the database and the runs.")] = Path(
        "demo-output/loop"
    ),
    seed: Annotated[int, typer.Option(help="Another number makes other edits.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.1, help="Wall time of training.")] = 1.0,
) -> None:
    """Go once through the loop of retraining, on the demo's photographs, with a stand-in for the person who reviews.

    It shows how the loop goes, not how much is gained: eight photographs and a minute teach no model anything, and the
    gate is a low one. It begins with the small model of the package.
    """
    from ncl_model.inference.checkpoint import shipped_weights
    from nclscreen.demo import build_demo_corpus
    from nclscreen.demo.labelled_set import write_labelled_set
    from nclscreen.demo.photographs import SOURCES

    out = out.absolute()
    make_folder(out, "name another place with --out")
    small = shipped_weights().with_name("small.safetensors")  # quick to train and to calibrate
    wiring = Wiring(load_settings().model_copy(update={"home": out / "state", "weights": small}))
    known = {source.name for source in SOURCES} - _FOR_JUDGING
    archive = build_demo_corpus(out / "archive", seed, of=known)
    lessons = write_labelled_set(build_demo_corpus(out / "lessons", seed + _LESSONS, of=known))
    judges = write_labelled_set(build_demo_corpus(out / "judges", seed + _JUDGES, of=_FOR_JUDGING), most=_JUDGED)
    rules, recipe = str(_rules(out / "gate.yaml")), str(_recipe(out / "recipe.json"))
    asked = {"data": (str(lessons),), "evaluate": (str(judges),), "recipe": recipe, "rules": rules}
    request = RetrainRequest(**asked, minutes=minutes, name="demo-loop")  # type: ignore[arg-type]
    view = RunView(wiring)
    with running_session(wiring, starting=view.starting) as session:  # as `nclscreen up` is one
        _say(1, f"screening {archive.folder}")
        job = view.follow(submit(wiring, SubmissionRequest(source=str(archive.folder))).job_id, session.check, FINAL)
        _say(2, "reviewing, by a stand-in that knows the truth")
        masks = {image.key: image.mask for image in archive.images if image.mask is not None}
        _tell_reviews(_review(wiring, job, masks))
        _say(3, "retraining the champion with what was said")
        run = _followed(wiring, retrain(wiring, request), session)
        _say(4, "the gate")
        print_run(run)
        if run.state is RunState.PROMOTED:
            _second_opinion(wiring, job, view, session)
            return
    output.out.print(f"run {run.id} is {run.state.value}: the champion stays", soft_wrap=True, markup=False)
    raise typer.Exit(output.FAILED if run.state is RunState.FAILED else 0)


def _second_opinion(wiring: Wiring, job: Job, view: RunView, session: Session) -> None:
    """By the new champion, which is hosted beside the one before; and back."""
    _say(5, "screening what was reviewed again, by the new champion")
    again = rescreen(wiring, RescreenRequest(job_id=job.id, images=RetryImages.REVIEWED))
    assert again.job_id is not None  # noqa: S101 - there are reviewed images
    view.follow(again.job_id, session.check, FINAL)
    found = changes(wiring, again.job_id)
    told = f"{found.flagged} flagged now and not before, {found.cleared} not any more, of {found.compared}"
    output.out.print(f"{told}; see them with: nclscreen changes {again.job_id}", soft_wrap=True, markup=False)
    _say(6, "rolling back")
    move = roll_back(wiring, actor=_REVIEWER, reason="the demo is over")
    champion = "" if move.fingerprint is None else move.fingerprint[:12]
    output.out.print(f"champion is {champion} as before; every job keeps the verdicts of its own model")


def _recipe(path: Path) -> Path:
    """That of small models, without the edits that are made of region maps, which these photographs do not have."""
    from ncl_model.training.recipe import RECIPES
    from ncl_model.training.recipe_text import read_mapping

    known = read_mapping(RECIPES / "small.yaml")
    less = {"synthetic": 0, "people": 0, "batch_size": 4, "val_fraction": 0.3, "warmup_steps": 4, "precision": "auto"}
    path.write_text(json.dumps({**known, **less}), encoding="utf-8")
    return path


def _rules(path: Path) -> Path:
    """A gate that twenty photographs can pass: an archive's own asks for no loss on hundreds."""
    path.write_text("sets:\n  '*':\n    floors: {pixel_auc: 0.4}\n", encoding="utf-8")
    return path


def _say(step: int, what: str) -> None:
    output.err.print(f"{step}. {what}", soft_wrap=True, markup=False)


def _review(wiring: Wiring, job: Job, masks: Mapping[ImageKey, Path]) -> list[Decision]:
    """Decide on the highest scores, flagged or not, and draw where those of `masks` were tampered with."""
    scored = (found for found in wiring.verdicts.of_job(job.id) if found.verdict.score is not None)
    highest = sorted(scored, key=lambda found: found.verdict.score or 0, reverse=True)[:_REVIEWED]
    decisions = []
    for found in highest:
        mask = masks.get(found.verdict.key)
        drawing = None if mask is None else NewDrawing(kind=DrawingKind.MASK, png=mask.read_bytes())
        decision = Decision.REJECTED if drawing is None else Decision.CONFIRMED
        request = ReviewRequest(decision=decision, reviewer=_REVIEWER, note="the demo knows", drawing=drawing)
        decisions.append(review(wiring, found, request).decision or decision)
    return decisions


def _tell_reviews(decisions: list[Decision]) -> None:
    confirmed, rejected = (decisions.count(each) for each in (Decision.CONFIRMED, Decision.REJECTED))
    output.out.print(f"{confirmed} confirmed, each with a mask, {rejected} rejected")


def _followed(wiring: Wiring, run: Run, session: Session) -> Run:
    """The run at its end; each step is told."""
    told = None
    while (run := wiring.runs.get(run.id)).finished_at is None:
        if run.state is not told:
            output.err.print(f"   {run.state.value}")
            told = run.state
        session.check()
        time.sleep(_LOOK_S)
        heed_termination()
    return run
