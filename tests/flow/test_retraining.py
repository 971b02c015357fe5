"""The loop as it is: screened, reviewed, due, frozen, trained, judged, promoted, rolled back; what ends it early."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.drawings import box_mask, png_of
from support.screened_jobs import ScreenedJob, Shot, photo_bytes, screened_job
from support.servers.mlflow_server import MlflowServer
from support.tiny_model import save_tiny_model
from support.training_material import write_source

from jobs.domain import Decision, NewReview, VerdictRef
from jobs.domain.drawings import DrawingKind
from jobs.domain.registry import Alias
from jobs.domain.retraining import Run, RunState
from jobs.domain.schedules import ScheduleKind, TickState
from jobs.leased_work.task import WorkTask
from jobs.retraining.run_store import RunStore
from jobs.reviews.drawing_png import read_drawing
from jobs.schedules.schedule_store import ScheduleStore
from jobs.testing import MovableClock
from ncl_model.training.recipe import RECIPES
from nclscreen.services import mirroring, retraining
from nclscreen.services.models import roll_back
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.retraining import Retraining
from nclscreen.services.scheduling import add_schedule, retrain
from nclscreen.services.submission import submit
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.services.ticking import TickHandler
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

pytestmark = pytest.mark.timeout(600)

MASK = read_drawing(DrawingKind.MASK, png_of(box_mask(96, 64)), (96, 64))
SHOTS = [Shot(key=f"{i}.jpg", score=0.9, data=photo_bytes(seed=i)) for i in range(8)]


@pytest.fixture
def screened(tmp_path: Path) -> Iterator[ScreenedJob]:
    found = screened_job(tmp_path / "screened", SHOTS)
    yield found
    found.close()


@pytest.fixture
def wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screened: ScreenedJob) -> Iterator[Wiring]:
    """On the database of the screened job; half of its images are false alarms, one is tampered with, and where."""
    url = screened.store._engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", url)
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))
    found = Wiring(Settings())
    for ordinal in range(6):
        verdict = found.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=ordinal))
        decision = Decision.CONFIRMED if ordinal == 5 else Decision.REJECTED
        drawing = MASK if ordinal == 5 else None
        found.reviews.add(verdict, NewReview(decision=decision, reviewer="ann", drawing=drawing))
    yield found
    found.engine.dispose()


@pytest.fixture
def request_(tmp_path: Path) -> RetrainRequest:
    data, judged = write_source(tmp_path / "base", 16), write_source(tmp_path / "judged", 8)
    lenient = tmp_path / "rules.yaml"
    lenient.write_text("sets:\n  judged:\n    floors:\n      image_auc: 0.0\n", encoding="utf-8")
    return RetrainRequest(
        data=(str(data),),
        evaluate=(str(judged),),
        recipe="smoke",
        from_champion=False,
        steps=3,
        rules=str(lenient),
        name="retrained",
    )


def work_off(wiring: Wiring, handler: object) -> bool:
    """One piece of work, as a dispatcher does it."""
    return WorkTask(handler, wiring.held_work).step(threading.Event())  # type: ignore[arg-type]


def done(wiring: Wiring, request: RetrainRequest) -> Run:
    run = retrain(wiring, request)
    assert work_off(wiring, Retraining(wiring))
    return wiring.runs.get(run.id)


def test_from_reviews_to_a_model_in_service_and_back(
    wiring: Wiring, request_: RetrainRequest, screened: ScreenedJob
) -> None:
    clock = MovableClock()
    wiring.__dict__["schedules"] = ScheduleStore(wiring.engine, clock)
    add_schedule(
        wiring, name="nightly", kind=ScheduleKind.RETRAIN, cron="0 3 * * *", request=request_.document, zone="UTC"
    )
    clock.advance(24 * 3600)  # one three o'clock, whenever the test runs
    assert wiring.schedules.make_ticks() == 1
    assert work_off(wiring, TickHandler(wiring))
    (tick,) = wiring.schedules.ticks(wiring.schedules.get("nightly").id)
    assert tick.state is TickState.STARTED
    assert work_off(wiring, Retraining(wiring))
    run = wiring.runs.get(tick.subject or "")
    assert run.state is RunState.PROMOTED, run.error
    assert run.contents is not None
    assert (run.contents["false_alarms"], run.contents["confirmed"], run.contents["masks"]) == (5, 1, 1)
    installed = wiring.model.fingerprint
    version = wiring.registry.get(run.fingerprint or "")
    assert (version.parent, version.run_id, version.snapshot) == (installed, run.id, run.snapshot)
    assert version.name == "retrained"
    submitted = submit(wiring, SubmissionRequest(source=str(screened.folder), threshold=0.5))
    assert wiring.jobs.get(submitted.job_id).model.fingerprint == version.fingerprint
    roll_back(wiring, actor="ann")
    again = submit(wiring, SubmissionRequest(source=str(screened.folder), threshold=0.5))
    assert wiring.jobs.get(again.job_id).model.fingerprint == installed
    moves = wiring.registry.history(Alias.CHAMPION)
    assert [(move.actor, move.run_id) for move in moves] == [("nclscreen", None), ("retraining", run.id), ("ann", None)]
    # what was learnt from stays, although its source goes
    for photograph in json.loads((wiring.settings.home / "runs" / run.id / "snapshot.json").read_text())["photographs"]:
        assert wiring.snapshot_archive.photograph(photograph["sha256"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of MLflow's client
def test_a_run_ends_as_ever_while_mlflow_is_away_and_is_copied_when_it_comes(
    wiring: Wiring, request_: RetrainRequest, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "AWAY_S", 0.1)
    wiring.settings = wiring.settings.model_copy(update={"mlflow_tracking_uri": mlflow_server.url})
    (copying,) = mirroring.mirror_work(wiring)
    run = done(wiring, request_)
    assert run.state is RunState.PROMOTED, run.error
    assert copying.step(threading.Event())
    assert "refused" in (mirroring.mirror_queue(wiring).behind().why or "")
    mlflow_server.start()
    while mirroring.mirror_queue(wiring).behind().why or copying.step(threading.Event()):
        copying.step(threading.Event())
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server.url)
    (copy,) = client.search_runs([client.get_experiment_by_name("nclscreen").experiment_id])
    assert copy.data.tags["nclscreen.fingerprint"] == run.fingerprint
    assert copy.data.params["recipe.batch_size"]
    assert [point.step for point in client.get_metric_history(copy.info.run_id, "training/loss")]
    measured = {name.split("/")[0] for name in copy.data.metrics if name.endswith("/judged/image_auc")}
    assert measured == {"champion", "challenger"}
    champion = client.get_model_version_by_alias("nclscreen", "champion")
    assert (champion.run_id, champion.tags["nclscreen.fingerprint"]) == (copy.info.run_id, run.fingerprint)
    assert len(client.search_model_versions("name = 'nclscreen'")) == 2, "the one before it, too"


def test_what_nobody_drew_is_learnt_from_by_its_label(
    wiring: Wiring, request_: RetrainRequest, screened: ScreenedJob, tmp_path: Path
) -> None:
    recipe = tmp_path / "roomy.yaml"
    recipe.write_text((RECIPES / "smoke.yaml").read_text() + "people: 0.2\nsynthetic: 0.2\n")
    for ordinal in range(5):
        verdict = wiring.verdicts.at(VerdictRef(job_id=screened.job.id, ordinal=ordinal))
        wiring.reviews.add(verdict, NewReview(decision=Decision.CONFIRMED, reviewer="bob"))
    run = done(wiring, RetrainRequest.of(request_.document | {"weak": 0.5, "recipe": str(recipe)}))
    assert run.state is RunState.PROMOTED, run.error
    assert run.contents is not None
    assert 0 < run.contents["labels_alone"] <= 5
    train = wiring.settings.home / "runs" / run.id / "train"
    events = [json.loads(line) for line in (train / "log.jsonl").read_text().splitlines()]
    (material,) = (event for event in events if event["event"] == "material")
    assert 0 < material["unmasked"] <= request_.emphasis * run.contents["labels_alone"]
    (start,) = (event for event in events if event["event"] == "start")
    assert start["recipe"]["weak"] > 0
    assert any(event["weak"] > 0 for event in events if event["event"] == "step")


def test_a_run_may_be_trained_on_ray(wiring: Wiring, request_: RetrainRequest) -> None:
    run = done(wiring, RetrainRequest.of(request_.document | {"workers": 2}))
    assert run.state is RunState.PROMOTED, run.error
    log = wiring.settings.home / "runs" / run.id / "train" / "log.jsonl"
    (start,) = (event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "start")
    assert start["device"].endswith(", 2 workers")


def test_the_gate_keeps_a_worse_model_out_and_says_why(wiring: Wiring, request_: RetrainRequest) -> None:
    strict = Path(request_.rules or "")
    strict.write_text("sets:\n  judged:\n    floors:\n      image_auc: 1.0\n      pixel_f1: 0.99\n", encoding="utf-8")
    run = done(wiring, request_)
    assert run.state is RunState.REFUSED
    assert "pixel_f1 is 0." in (run.error or "")
    assert run.fingerprint is None
    assert wiring.registry.champion() is None
    assert run.decision is not None
    assert set(run.decision) == {"accepted", "reasons", "champion", "challenger", "rules"}


def test_whoever_dies_at_any_step_is_followed_by_another(
    wiring: Wiring, request_: RetrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that was cut off is begun again, those before it are not; and it ends as it would have."""
    run = retrain(wiring, request_)
    calls: list[str] = []
    real, entered = retraining.run_command, RunStore.enter

    def command(arguments: list[str], *rest: object) -> None:
        calls.append(arguments[0])
        real(arguments, *rest)  # type: ignore[arg-type]

    def dying(self: RunStore, work: object, state: RunState, **values: object) -> Run:
        found = entered(self, work, state, **values)  # type: ignore[arg-type]
        if state not in died:
            died.add(state)
            raise KilledError
        return found

    class KilledError(BaseException):
        pass

    died: set[RunState] = set()
    monkeypatch.setattr(retraining, "run_command", command)
    monkeypatch.setattr(RunStore, "enter", dying)
    for attempt in range(6):
        task = WorkTask(Retraining(wiring), wiring.held_work)
        if attempt < 5:
            with pytest.raises(KilledError):
                task.step(threading.Event())
            wiring.runs.work._clock = MovableClock()  # its lease has run out
            wiring.runs.work._clock.advance(3600 * (attempt + 1))
            wiring.held_work.leases._clock = wiring.runs.work._clock
        else:
            assert task.step(threading.Event())
    assert wiring.runs.get(run.id).state is RunState.PROMOTED, wiring.runs.get(run.id).error
    assert sorted(calls) == ["evaluate", "evaluate", "release", "train"], "nothing was made twice"
    assert len(wiring.registry.history(Alias.CHAMPION)) == 2


def test_a_run_is_cancelled_in_mid_training(wiring: Wiring, request_: RetrainRequest) -> None:
    run = retrain(wiring, RetrainRequest.of(request_.document | {"steps": 100_000}))
    log = wiring.settings.home / "runs" / run.id / "train" / "metrics.csv"

    stop = threading.Event()
    thread = threading.Thread(target=lambda: WorkTask(Retraining(wiring), wiring.held_work).step(stop))
    thread.start()
    try:
        waiting = threading.Event()
        while not log.exists() and thread.is_alive():
            waiting.wait(0.2)
        wiring.runs.cancel(run.id)
        thread.join(120)
    finally:
        stop.set()
        thread.join(120)
    assert wiring.runs.get(run.id).state is RunState.CANCELLED
    assert wiring.registry.champion() is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"least_reviews": 50}, "6 reviewed photographs can be learnt from, 50 are asked for"),
        ({"recipe": None, "from_champion": True}, "does not say which recipe"),
        ({"recipe": "no-such-recipe"}, "no-such-recipe"),
    ],
)
def test_what_cannot_be_done_ends_the_run_with_one_line(
    wiring: Wiring, request_: RetrainRequest, changes: dict[str, object], words: str
) -> None:
    run = done(wiring, RetrainRequest.of(request_.document | changes))
    assert run.state is RunState.FAILED
    assert words in (run.error or "")
    assert "\n" not in (run.error or "")
    assert wiring.registry.champion() is None
