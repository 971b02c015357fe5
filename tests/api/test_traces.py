"""Traces: what is done for a job is of the trace of the request for it; a collector that is away holds up nothing."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.builders import Bench, entries, lease, picture, ready_job, results_of
from support.dispatching import wait_until
from support.queueing import claim
from support.servers.trace_collector import HeardSpan, TraceCollector
from support.servers.webhook_receiver import WebhookReceiver

from jobs import spans
from jobs.domain import JobId, Work, WorkKind
from jobs.domain.retraining import RunState
from jobs.leased_work.held import Hold
from jobs.leased_work.task import WorkTask
from jobs.outcomes import OutcomeRecorder
from jobs.ports import Outcome, OutcomeKind
from jobs.screening.attempt import attempt
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.limits import ScreeningLimits
from jobs.screening.shard_screener import ShardScreener
from jobs.screening.stage_times import TimedHeatmaps, TimedScorer, timed_storages
from jobs.screening.thread_runner import ThreadRunner
from jobs.testing import FixedModels, MemoryScorer, MemoryStorage
from nclscreen.api import create_app
from nclscreen.settings import Settings
from nclscreen.tracing import start_tracing, stop_tracing
from nclscreen.wiring import Wiring

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceCollector]:
    """With tracing on; `stop_tracing` sends what it has to it."""
    found = TraceCollector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    start_tracing()
    yield found
    stop_tracing()
    found.close()


def folder_of_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03d}.png").write_bytes(picture(number))
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def screener(wiring: Wiring) -> ShardScreener:
    """As a worker has it, with a model in memory."""

    def note(stage: str, took_s: float) -> None:
        pass

    return ShardScreener(
        open_storage=timed_storages(wiring.open_storage, note),
        scorer=TimedScorer(MemoryScorer(), note),
        heatmaps=TimedHeatmaps(StoredHeatmaps(MemoryStorage("memory://maps")), note),
        keep_heatmap=lambda flagged: flagged,
        limits=ScreeningLimits(),
    )


def screen(wiring: Wiring, job_id: JobId) -> None:
    """Everything that is done for a job after it was submitted."""
    models = FixedModels(wiring.model.fingerprint)
    with screener(wiring) as found:
        wiring.dispatcher(ThreadRunner(found.screen), models, only_job=job_id).run()


def test_all_that_is_done_for_a_job_is_one_trace(
    collector: TraceCollector, wiring: Wiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = WebhookReceiver()
    monkeypatch.setenv("NCLSCREEN_WEBHOOK_SECRET", SECRET)
    wiring.settings = Settings()
    asked = {
        "source": str(folder_of_pictures(tmp_path / "photos", 11)),
        "webhook": receiver.url,
        "completion_report": str(tmp_path / "reports"),
    }
    with TestClient(create_app(wiring), base_url="http://127.0.0.1:8080") as client:
        answer = client.post("/v1/jobs", json=asked, headers={"traceparent": CALLER})
        assert client.get("/metrics").status_code == client.get("/healthz").status_code == 200
    assert answer.status_code == 201, answer.text
    job_id = JobId(answer.json()["id"])
    screen(wiring, job_id)
    receiver.close()
    stop_tracing()

    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert {span.service for span in collector.spans} == {"nclscreen"}
    assert not any(span.failed for span in collector.spans)
    request, submitted = collector.one("POST /v1/jobs"), collector.one("submit")
    assert request.parent_id == CALLER.split("-")[2]
    assert request.attributes["http.response.status_code"] == 201
    assert collector.above(submitted) == "POST /v1/jobs"
    done = [collector.one("preparation"), collector.one("completion_report"), *collector.named("webhook")]
    shards = collector.named("shard")
    for span in [submitted, *done, *shards]:
        assert span.attributes["nclscreen.job"] == job_id
        assert span is submitted or collector.above(span) == "submit", span.name
    assert {span.attributes["nclscreen.outcome"] for span in done} == {"done"}
    assert len(collector.named("webhook")) == len(receiver.heard) >= 4
    check_shards(collector, shards, images=12)


def check_shards(collector: TraceCollector, shards: list[HeardSpan], *, images: int) -> None:
    counted = dict.fromkeys(("images", "scored", "reused", "failed"), 0)
    for shard in shards:
        assert shard.attributes["nclscreen.outcome"] == "finished"
        assert shard.attributes["nclscreen.host"] == socket.gethostname()
        parts = [span for span in collector.spans if span.parent_id == shard.span_id]
        read = {span.name: span.attributes["nclscreen.images"] for span in parts}
        assert set(read) >= {"fetch", "decode", "score"}
        assert read["fetch"] == shard.attributes["nclscreen.images"]
        assert read["score"] == shard.attributes["nclscreen.scored"]
        for span in parts:
            assert shard.began <= span.began <= span.ended <= shard.ended + 10**6, span.name
            assert float(span.attributes["nclscreen.seconds"]) >= 0
        for name in counted:
            counted[name] += int(shard.attributes[f"nclscreen.{name}"])
    assert counted == {"images": images, "scored": images - 1, "reused": 0, "failed": 1}


def test_no_name_of_a_photograph_leaves_with_them(collector: TraceCollector, wiring: Wiring, tmp_path: Path) -> None:
    source = folder_of_pictures(tmp_path / "Mr X in Paris", 3)
    with TestClient(create_app(wiring), base_url="http://127.0.0.1:8080") as client:
        answer = client.post("/v1/jobs", json={"source": str(source)})
        assert client.post("/v1/jobs", json={"source": str(tmp_path / "Mr X in Rome")}).status_code == 404
        found = client.get("/v1/verdicts", params={"job": answer.json()["id"], "prefix": "Mr X"})
        assert found.status_code == 200, found.text
    screen(wiring, JobId(answer.json()["id"]))
    stop_tracing()
    assert len(collector.named("GET /v1/verdicts")) == len(collector.named("shard")) == 1
    assert not [span for span in collector.spans if "Mr X" in f"{span}" or "broken.png" in f"{span}"]


class _Run:
    """Stands for a run of retraining, which takes minutes."""

    kind = WorkKind.RETRAINING

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        with spans.span("train"):
            hold.check(stop)
        self._wiring.runs.finish(work, RunState.REFUSED, error="worse")

    def give_up(self, work: Work, why: str) -> None:
        raise AssertionError(why)


def test_a_run_of_retraining_is_of_the_trace_of_who_asked_for_it(collector: TraceCollector, wiring: Wiring) -> None:
    with spans.span("asked"):
        wiring.runs.create({})
    assert WorkTask(_Run(wiring), wiring.held_work).step(threading.Event())
    stop_tracing()
    run = collector.one("retraining")
    assert collector.above(run) == "asked"
    assert run.attributes["nclscreen.outcome"] == "refused"
    assert collector.above(collector.one("train")) == "retraining"
    assert len({span.trace_id for span in collector.spans}) == 1


def test_a_block_that_breaks_off_says_so_without_its_words(collector: TraceCollector) -> None:
    with pytest.raises(ValueError, match="secret"), spans.span("work"):
        raise ValueError("a secret")
    stop_tracing()
    work = collector.one("work")
    assert work.failed
    assert work.attributes == {"error.type": "ValueError"}


def test_an_attempt_that_nobody_could_time_is_there(collector: TraceCollector, wiring: Wiring) -> None:
    bench = Bench(wiring.engine)
    with spans.span("asked"):
        ready_job(bench.engine, entries(4))
    (held,) = claim(bench.queue())
    recorder = OutcomeRecorder(bench.store, bench.queue(), storage_max_wait_s=60.0)
    recorder.record(Outcome(lease=held, kind=OutcomeKind.CRASHED, reason="its process died"))
    stop_tracing()
    shard = collector.one("shard")
    assert (shard.attributes["nclscreen.outcome"], shard.attributes["nclscreen.images"]) == ("crashed", 4)
    assert "nclscreen.scored" not in shard.attributes


def test_what_a_worker_measured_travels() -> None:
    """Workers send nothing themselves: they come and go, and need no way to a collector."""
    held = lease(entries(4), traceparent=CALLER)
    outcome = pickle.loads(pickle.dumps(attempt(results_of, held)))
    assert outcome.timed is not None
    assert 0 <= outcome.timed.ended - outcome.timed.began < 60
    assert attempt(results_of, lease(entries(4))).timed is None, "nobody asked"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("answers", [False, True], ids=["nobody listens", "nobody answers"])
def test_a_collector_that_is_away_costs_spans_alone(
    answers: bool, silent: str, wiring: Wiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent if answers else "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")
    start_tracing()
    try:
        began = time.perf_counter()
        for _ in range(2000):
            with spans.span("work"):
                pass
        assert time.perf_counter() - began < 2.0, "it waits for nobody"
        source = folder_of_pictures(tmp_path / "photos", 3)
        with TestClient(create_app(wiring), base_url="http://127.0.0.1:8080") as client:
            answer = client.post("/v1/jobs", json={"source": str(source)})
        screen(wiring, JobId(answer.json()["id"]))
        assert wiring.jobs.get(JobId(answer.json()["id"])).counts.done == 4
        wait_until(lambda: bool(caplog.records))
    finally:
        began = time.perf_counter()
        stop_tracing()
        took_s = time.perf_counter() - began
    assert took_s < 1.5
    told = [record.getMessage() for record in caplog.records if record.name == "nclscreen.otlp"]
    assert told == ["the collector of traces takes none: spans are dropped until it does, work goes on"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_collector_that_comes_back_is_told_of(
    collector: TraceCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop_tracing()
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    collector.status = 400
    start_tracing()

    def told_more(before: int) -> bool:
        with spans.span("work"):
            return len(caplog.records) > before

    for status in (400, 200):
        collector.status, before = status, len(caplog.records)
        wait_until(partial(told_more, before))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "the collector of traces takes none",
        "the collector takes traces again",
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, ""),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "they go by http/protobuf, and OTEL_EXPORTER_OTLP_PROTOCOL asks for"),
    ],
    ids=["disabled", "none", "nowhere", "grpc"],
)
def test_it_is_off_where_the_standard_variables_say_so(
    collector: TraceCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    more: dict[str, str], said: str,
) -> None:  # fmt: skip
    stop_tracing()
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    start_tracing()
    with spans.span("work"):
        assert spans.traceparent() is None
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


def test_without_the_extra_it_is_said_and_work_goes_on(
    collector: TraceCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop_tracing()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "nclscreen.otlp")
    start_tracing()
    with spans.span("work"):
        assert spans.traceparent() is None
    assert "install nclscreen[traces]" in caplog.text


def test_unless_asked_for_nothing_of_it_is_loaded() -> None:
    """Neither where requests are answered nor in a screening worker, which loads nothing of it in any case."""
    script = (
        "import sys; from nclscreen.cli.app import run; run(['--version']); "
        "import nclscreen.api.app, nclscreen.hosting.screener_plan, jobs.screening.ray_runner, jobs.outcomes; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "[]"
