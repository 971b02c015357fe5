"""`doctor`, `job` and `jobs` say why work waits: nobody works, the cluster lacks something, the schema is behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.builders import FINGERPRINT, Bench, entries, new_job, ready_job
from support.hosting import KnownVersions, MemoryApps

from jobs.errors import SchemaOutdated
from jobs.operations.figures import figures
from jobs.registry.dispatchers import ShardBudget
from jobs.registry.hosted_models import HostedModel, HostedModels, HostingState
from jobs.shards.work_queue import WorkQueue
from jobs.testing import MovableClock
from nclscreen.cli.app import run
from nclscreen.hosting.applications import AppState, HostingOptions, no_place
from nclscreen.hosting.model_host import BEING_STARTED, ModelHost
from nclscreen.services import health
from nclscreen.services.health import shortage
from nclscreen.wiring import Wiring

SERVE_SAYS = (
    "Deployment 'Localizer' in application 'localizer-abababababab' has 1 replicas that have taken more than 30s to be "
    "scheduled. This may be due to waiting for the cluster to auto-scale or for a runtime environment to be installed. "
    "Resources required for each replica: {'CPU': 8.0, 'GPU': 1.0}, total resources available: {'CPU': 2.0}. "
    "Use `ray status` for more details."
)


@pytest.fixture
def only_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other parts take long, or need a cluster."""
    for part in ("heatmaps", "model", "ray_cluster"):
        monkeypatch.setattr(health, part, lambda wiring: "left out")


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, object]]]:
    capsys.readouterr()
    code = run(["doctor", "--json"])
    return code, {check["part"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


def test_an_old_schema_names_the_command_that_mends_it(
    wiring: Wiring, only_work: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def behind(wiring: Wiring) -> str:
        raise SchemaOutdated("0009", "0013")

    monkeypatch.setattr(health, "database", behind)
    code, found = doctor(capsys)
    assert code == 1
    assert "revision 0009" in str(found["database"]["message"])
    assert str(found["database"]["message"]).endswith("nclscreen db upgrade")


@pytest.mark.usefixtures("only_work")
def test_nothing_to_do_is_well(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(capsys)
    assert (code, found["work"]["ok"]) == (0, True)


@pytest.mark.usefixtures("only_work")
def test_jobs_that_nobody_works_on_are_told(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = [wiring.jobs.submit(new_job()), ready_job(wiring.engine, entries(4))]
    code, found = doctor(capsys)
    assert code == 1
    assert "2 job(s) to be prepared or screened; no dispatcher works" in str(found["work"]["message"])
    assert str(found["work"]["message"]).endswith("nclscreen up")
    for job_id in waiting:
        assert run(["job", job_id]) == 0
        assert "no dispatcher works on this database" in capsys.readouterr().out
    assert run(["jobs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["jobs"]
    assert [job["waits_for"] for job in listed] == ["no dispatcher works on this database"] * 2


@pytest.mark.usefixtures("only_work")
def test_who_waits_for_a_person_waits_for_no_dispatcher(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = ready_job(wiring.engine, entries(4))
    wiring.jobs.pause(job_id)
    assert doctor(capsys)[0] == 0
    assert run(["job", job_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["waits_for"] is None


@pytest.mark.usefixtures("only_work")
def test_what_clusters_lack_is_told_by_dispatcher(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = ready_job(wiring.engine, entries(4))
    wiring.dispatchers.seen("one", None)
    assert doctor(capsys)[0] == 0
    wiring.dispatchers.seen("two", "2 more workers find no place")
    code, found = doctor(capsys)
    assert (code, "two lacks: 2 more workers" in str(found["work"]["message"])) == (1, True)
    wiring.dispatchers.leave("one")
    assert run(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"][0]["waits_for"] == "2 more workers find no place"
    assert run(["job", job_id]) == 0
    assert "2 more workers find no place" in capsys.readouterr().out


@pytest.mark.usefixtures("only_work")
def test_screening_that_keeps_to_a_share_is_told_and_is_no_ailment(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "a run of retraining trains: 2 of 5 shards at once"
    job_id = ready_job(wiring.engine, entries(4))
    wiring.dispatchers.seen("one", None, ShardBudget(at_once=2, usual=5))
    code, found = doctor(capsys)
    assert (code, told in str(found["work"]["message"])) == (0, True)
    assert run(["job", job_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["slowed"] == told
    assert run(["job", job_id]) == 0
    assert f"slowed     {told}" in capsys.readouterr().out
    assert run(["top", "--once"]) == 0
    assert told in " ".join(capsys.readouterr().out.split())
    assert run(["top", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dispatchers"][0]["budget"] == {"at_once": 2, "usual": 5}
    wiring.jobs.cancel(job_id)  # over: nothing slows it
    assert run(["job", job_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["slowed"] is None


@pytest.mark.usefixtures("only_work")
def test_what_is_being_started_is_no_ailment_what_finds_no_place_is(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    ready_job(wiring.engine, entries(4))
    wiring.dispatchers.seen("one", None)
    for note, code in ((BEING_STARTED, 0), (f"{BEING_STARTED}: no place", 1)):
        row = HostedModel(fingerprint=FINGERPRINT, state=HostingState.STARTING, note=note)
        wiring.hosted_models.renew("c1", "one", [row], 60)
        found = doctor(capsys)
        assert found[0] == code
        assert (note in str(found[1]["work"]["message"])) is bool(code)


@pytest.mark.usefixtures("only_work")
def test_how_long_work_waits_is_told_and_too_long_is_an_ailment(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = ready_job(wiring.engine, entries(8))
    wiring.dispatchers.seen("one", None)
    code, found = doctor(capsys)
    assert code == 0
    assert str(found["queue"]["message"]).startswith("2 shards wait, 0 under way, a job had no turn for ")
    clock = MovableClock()
    monkeypatch.setattr(health, "figures", lambda engine: figures(engine, clock))
    clock.advance(1000)
    code, found = doctor(capsys)
    assert (code, "nothing is under way" in str(found["queue"]["message"])) == (1, True)
    WorkQueue(wiring.engine, "one", clock).claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    assert doctor(capsys)[0] == 0
    clock.advance(200)
    code, found = doctor(capsys)
    assert code == 1
    assert re.search("a lease ran out [23] min", str(found["queue"]["message"])), "140 s and as long as this test takes"


def test_doctor_and_alerts_agree_on_what_is_too_long() -> None:
    rules = Path(__file__).parents[2].joinpath("deploy", "prometheus", "alerts.yml").read_text(encoding="utf-8")
    assert f"(nclscreen_overdue_lease_seconds) > {health.LONGEST_OVERDUE_S:g}" in rules
    assert f"(nclscreen_queue_age_seconds) > {health.LONGEST_WITHOUT_A_TURN_S:g}" in rules


def test_a_model_that_finds_no_place_says_what_is_missing(bench: Bench) -> None:
    ready_job(bench.engine, entries(4))
    apps, register = MemoryApps(), HostedModels(bench.engine, bench.clock)
    host = ModelHost(
        apps=apps,
        register=register,
        jobs=bench.store,
        versions=KnownVersions(FINGERPRINT),
        cluster="c1",
        dispatcher="one",
        most=1,
    )
    host.look()
    apps.set(FINGERPRINT, AppState.STARTING, no_place(["nothing of interest", SERVE_SAYS]))
    host.look()
    told = register.obstacles([FINGERPRINT])[FINGERPRINT]
    assert "a replica needs 8 CPU and 1 GPU" in told
    assert "which has 2 CPU free" in told


def test_other_words_of_serve_are_no_shortage() -> None:
    assert no_place(["", "has 1 replicas that have taken more than 30s to initialize."]) == ""


@pytest.mark.parametrize(
    ("nodes", "lacks"),
    [
        ([{"CPU": 8, "GPU": 1}], None),
        ([{"CPU": 3, "GPU": 1}], "3 CPUs, but replicas and shards ask for 4"),
        ([{"CPU": 8}], "0 GPUs, but replicas ask for 1"),
        ([{"CPU": 8}, {"CPU": 1, "GPU": 1}], "no node alone has the 2 CPUs and 1 GPUs of a replica"),
    ],
)
def test_what_a_cluster_lacks(nodes: list[dict[str, float]], lacks: str | None) -> None:
    told = shortage(nodes, 4, HostingOptions(cpus=2, gpus=1), 2)
    assert (told is None) if lacks is None else lacks in str(told)


def test_replicas_need_nodes_that_have_their_labels() -> None:
    hosting, nodes = HostingOptions(cpus=2, gpus=1, labels={"zone": "b"}), [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}]
    assert shortage(nodes, 4, hosting, 2, nodes[:1]) is None
    assert "0 GPUs, but replicas ask for 1" in str(shortage(nodes, 4, hosting, 2, nodes[1:]))
    assert "no node is one with zone=b; correct NCLSCREEN_REPLICA_LABELS" in str(shortage(nodes, 4, hosting, 2, []))
    assert "1 GPU on a node with zone=b and finds no place" in no_place([SERVE_SAYS], " on a node with zone=b")


def test_a_shard_needs_one_node() -> None:
    assert "4 CPUs of a shard" in str(shortage([{"CPU": 2}] * 4, 4, HostingOptions(cpus=1), 4))
