"""Copies at MLflow on both databases: late if need be, each once, whatever breaks in between, and nobody waits."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update
from support.builders import Bench
from support.ended_runs import Loop
from support.memory_mlflow import MemoryMlflow, away, refusal

from jobs.domain import WorkKind
from jobs.domain.registry import Alias
from jobs.domain.retraining import RunState
from jobs.leased_work.held import HeldWork
from jobs.leased_work.task import WorkTask
from jobs.mirroring.mirror_queue import PAUSES_S, Behind, MirrorQueue
from jobs.sql.database import reading, writing
from jobs.sql.tables import leased_work
from nclscreen.mlflow_mirror import MlflowMirror
from nclscreen.services.mirroring import AWAY_S, Mirroring, MirrorTask
from nclscreen.stores import Stores

A, B = "aa" * 32, "bb" * 32
NOTHING = Behind(runs=0, versions=0, moves=0, given_up=0, why=None)


class Desk:
    """Dispatchers that copy one database to one server."""

    def __init__(self, bench: Bench, server: MemoryMlflow) -> None:
        self.bench = bench
        self.server = server
        self.loop = Loop(bench.engine, bench.clock)
        self.queue = MirrorQueue(bench.engine, "here", bench.clock)
        self.task = self.dispatcher()

    def dispatcher(self, target: str = "here") -> MirrorTask:
        """One that has just been started."""
        queue = MirrorQueue(self.bench.engine, target, self.bench.clock)
        mirror = MlflowMirror("http://me:hunter2-secret@mlflow:5000", "screening/desk")
        mirror.__dict__["_client"] = self.server
        stores = Stores()
        stores.__dict__["engine"] = self.bench.engine
        handler = Mirroring(stores, queue, mirror)
        return MirrorTask(
            queue,
            handler,
            WorkTask(handler, HeldWork(queue.work, lease_s=60.0)),
            clock=lambda: self.bench.clock.offset_s,
        )

    def work_off(self, task: MirrorTask | None = None) -> None:
        """Until nothing is due."""
        self.bench.clock.advance(10)
        while (task or self.task).step(threading.Event()):
            pass

    def subjects(self) -> list[str]:
        with reading(self.bench.engine) as connection:
            rows = select(leased_work.c.subject).where(leased_work.c.kind == WorkKind.MIRRORING.value)
            return sorted(connection.execute(rows).scalars())


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench, MemoryMlflow())


def test_a_run_its_version_and_the_move_are_copied_once(desk: Desk) -> None:
    run = desk.loop.promoted(A)
    assert desk.queue.behind() == Behind(runs=1, versions=1, moves=1, given_up=0, why=None)
    desk.work_off()
    calls = len(desk.server.calls)
    desk.work_off()
    desk.work_off(desk.dispatcher())
    assert len(desk.server.calls) == calls, "nothing is asked while there is nothing new"
    assert desk.queue.behind() == NOTHING
    ((key, stored),) = desk.server.runs.items()
    assert (stored.status, stored.tags["nclscreen.run"]) == ("FINISHED", run.id)
    assert stored.tags["nclscreen.state"] == "promoted"
    assert stored.tags["nclscreen.snapshot"] == "5a" * 32
    assert stored.tags["nclscreen.parent"] == A
    assert stored.tags["nclscreen.code_version"] == "0.1.0"
    assert stored.tags["nclscreen.accepted"] == "true"
    assert json.loads(stored.tags["nclscreen.rules"]) == {"sets": {"*": {"most_loss": {"image_auc": 0.02}}}}
    assert stored.params["recipe.network.width"] == "32"
    assert stored.params["request.minutes"] == "30"
    assert stored.params["snapshot.confirmed"] == "3"
    figures = {(name, step): value for name, value, _, step in stored.metrics}
    assert figures["challenger/casia1/test/image_auc", 0] == 0.95
    assert figures["champion/casia1/test/image_auc", 0] == 0.9
    assert [figures["training/loss", step] for step in (10, 20)] == [0.7, 0.5]
    assert figures["training/pixel_f1", 20] == 0.4
    (version,) = desk.server.versions.values()
    assert (version.run_id, version.tags["nclscreen.weights_sha256"]) == (key, A[::-1])
    assert version.tags["nclscreen.weights_uri"] == f"file:///models/{A}.safetensors"
    assert desk.server.aliases == {"champion": "1"}
    (move,) = (json.loads(value) for value in desk.server.models["screening-desk"].values())
    assert (move["fingerprint"], move["actor"], move["reason"], move["run"]) == (A, "ann", "so", run.id)


def test_what_goes_on_is_copied_when_it_is_over(desk: Desk) -> None:
    """Its version and the move, too: they name it."""
    run = desk.loop.begun()
    desk.loop.register(A, run)
    desk.loop.move(A, run)
    desk.work_off()
    assert not desk.server.calls
    desk.loop.end(RunState.PROMOTED, fingerprint=A)
    desk.work_off()
    assert desk.server.versions[1].run_id in desk.server.runs


@pytest.mark.parametrize(
    ("state", "status"), [(RunState.REFUSED, "FINISHED"), (RunState.FAILED, "FAILED"), (RunState.CANCELLED, "KILLED")]
)
def test_runs_without_a_version_are_copied_with_the_reason(desk: Desk, state: RunState, status: str) -> None:
    desk.loop.begun()
    desk.loop.end(state, error="pixel_f1 is 0.1, below 0.2")
    desk.work_off()
    (stored,) = desk.server.runs.values()
    assert (stored.status, stored.tags["mlflow.note.content"]) == (status, "pixel_f1 is 0.1, below 0.2")
    assert desk.queue.behind() == NOTHING


def test_aliases_follow_every_move_and_rollbacks(desk: Desk) -> None:
    for fingerprint in (A, B):
        desk.loop.promoted(fingerprint)
        desk.work_off()
    assert desk.server.aliases == {"champion": "2"}
    desk.loop.registry.roll_back(Alias.CHAMPION, actor="bob")
    desk.work_off()
    assert desk.server.aliases == {"champion": "1"}
    desk.loop.move(None)
    desk.work_off()
    assert desk.server.aliases == {}
    assert len(desk.server.models["screening-desk"]) == 4
    assert desk.queue.behind() == NOTHING


def test_an_alias_that_is_moved_while_it_is_copied_ends_where_it_is(desk: Desk) -> None:
    desk.loop.register(A)
    desk.loop.register(B)
    desk.loop.move(A)

    def moved(name: str) -> None:
        if name == "set_registered_model_alias":
            desk.server.after = lambda name: None
            desk.loop.move(B)

    desk.server.after = moved
    desk.bench.clock.advance(10)
    for _ in range(3):
        assert desk.task.step(threading.Event())
    assert desk.server.aliases == {"champion": "2"}


def test_a_server_that_is_away_costs_nothing_but_time(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def fails(name: str) -> None:
        raise away()

    desk.server.before = fails
    desk.loop.promoted(A)
    for _ in range(20):
        desk.work_off()
    assert len(desk.server.calls) <= 20 * 10 / AWAY_S + 1, "it is not asked again and again"
    behind = desk.queue.behind()
    assert (behind.runs, behind.given_up) == (1, 0)
    assert "refused" in (behind.why or "")
    assert "hunter2" not in (behind.why or "") + caplog.text
    with reading(desk.bench.engine) as connection:
        assert set(connection.execute(select(leased_work.c.attempt)).scalars()) == {0}
    desk.server.before = lambda name: None
    desk.bench.clock.advance(AWAY_S)
    desk.work_off()
    assert desk.queue.behind() == NOTHING
    assert [len(each) for each in (desk.server.runs, desk.server.versions)] == [1, 1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_request_breaks_off_everything_is_there_once(desk: Desk, when: str) -> None:
    """`after`: the server has done it, and its answer is lost."""
    run = desk.loop.promoted(A)
    desk.work_off()
    whole, requests = dict(desk.server.runs), len(desk.server.calls)
    assert requests > 10
    for number in range(1, requests + 1):
        desk.server.__init__()  # type: ignore[misc]
        with writing(desk.bench.engine) as connection:
            connection.execute(leased_work.delete().where(leased_work.c.kind == WorkKind.MIRRORING.value))

        def breaks(name: str, number: int = number) -> None:
            if len(desk.server.calls) == number:
                raise away()

        setattr(desk.server, when, breaks)
        task = desk.dispatcher()
        desk.work_off(task)
        desk.bench.clock.advance(AWAY_S)
        desk.work_off(task)
        assert desk.queue.behind() == NOTHING, number
        (stored,) = desk.server.runs.values()
        assert stored == next(iter(whole.values())), number
        assert [version.tags["nclscreen.run"] for version in desk.server.versions.values()] == [run.id], number
        assert desk.server.aliases == {"champion": "1"}, number


def test_what_is_refused_is_tried_again_with_pauses_and_given_up_until_a_start(desk: Desk) -> None:
    def refuses(name: str) -> None:
        if name == "create_run":
            raise refusal()

    desk.server.before = refuses
    desk.loop.begun()
    desk.loop.end(RunState.REFUSED)
    for pause_s in (0.0, *PAUSES_S):
        assert desk.queue.behind().given_up == 0
        desk.bench.clock.advance(pause_s)
        desk.work_off()
    behind = desk.queue.behind()
    assert (behind.runs, behind.given_up) == (1, 1)
    assert "so it is" in (behind.why or "")
    desk.server.before = lambda name: None
    desk.bench.clock.advance(10_000)
    desk.work_off()
    assert not desk.server.runs
    desk.work_off(desk.dispatcher())
    assert desk.queue.behind() == NOTHING


def test_dispatchers_at_once_copy_each_thing_once(desk: Desk) -> None:
    for number in range(12):
        desk.loop.promoted(f"{number:02x}" * 32)
    tasks = [desk.dispatcher() for _ in range(4)]
    with ThreadPoolExecutor(len(tasks)) as pool:
        for _ in range(3):  # a look that comes second writes nothing
            list(pool.map(desk.work_off, tasks))
    assert desk.queue.behind() == NOTHING
    assert [len(each) for each in (desk.server.runs, desk.server.versions)] == [12, 12]
    newest = desk.server.versions[int(desk.server.aliases["champion"])]
    assert newest.tags["nclscreen.fingerprint"] == "0b" * 32


@pytest.mark.parametrize("request_", ["create_run", "create_model_version"])
def test_who_was_overtaken_in_the_middle_of_a_request_leaves_no_double(desk: Desk, request_: str) -> None:
    """It hangs for longer than its lease, somebody else does the same meanwhile, and then its request arrives."""
    desk.loop.promoted(A)

    def hangs(name: str) -> None:
        if name == request_:
            desk.server.before = lambda name: None
            with writing(desk.bench.engine) as connection:
                expired = update(leased_work).where(leased_work.c.state == "leased").values(lease_expires_at=0.0)
                connection.execute(expired)
            desk.work_off(desk.dispatcher())
            assert desk.queue.behind() == NOTHING

    desk.server.before = hangs
    desk.work_off()
    (key,) = desk.server.runs
    (version,) = desk.server.versions.values()
    assert version.run_id == key
    assert desk.server.runs[key].status == "FINISHED"
    assert desk.server.aliases == {"champion": "1"}


def test_copies_at_another_place_are_left_to_those_who_make_them(desk: Desk) -> None:
    desk.loop.register(A)
    desk.bench.clock.advance(10)
    there = desk.dispatcher("there")
    MirrorQueue(desk.bench.engine, "there", desk.bench.clock).fill()
    desk.work_off()
    assert desk.subjects() == [f"version/{A}@here"]
    desk.work_off(there)
    assert desk.subjects() == [f"version/{A}@here", f"version/{A}@there"]
