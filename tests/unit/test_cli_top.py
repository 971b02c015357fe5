"""`top`: what is shown at one moment, letter for letter; narrow terminals, files, and the loop."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console
from sqlalchemy import ColumnElement, Engine, literal
from support.builders import FINGERPRINT, entries, new_job, ready_job, results_of, unreadable

from jobs.domain import JobOptions
from jobs.lifecycle.job_store import JobStore
from jobs.operations.overview import Overview, overview
from jobs.registry.dispatchers import Dispatchers
from jobs.registry.hosted_models import HostedModel, HostedModels, HostingState
from jobs.retraining.run_store import RunStore
from jobs.shards.work_queue import WorkQueue
from nclscreen.cli import output, top
from nclscreen.cli.app import run
from nclscreen.cli.top_view import Rates, top_lines
from nclscreen.wiring import Wiring

END = 1_790_001_300.0
GOLDEN = """\
nclscreen  2026-09-21 14:35:00 UTC
works      desk for 10 s
works      lab for 10 s; lacks: 2 more workers find no place
queue      3 shards wait, 0 under way; 24 images, 0.1 images/s
           a job had no turn for 1 min 40 s
slow work  1 preparation failed, 1 preparation leased, 1 retraining queued
models     abababababab ready (1)
review     2 flagged images unreviewed, of jobs up to 13 min 20 s old
run        RUN queued, asked for 13 min 20 s ago

job               state      done  images   rate        left  flagged  failed  what
NIGHT             running    40 %   16/40  0.1/s  3 min 00 s        2       1  night desk
  waits: the storage does not answer
PREPARING         preparing           0/0                           0       0  s3://photos/

failed
job FAILED: there is no bucket 'archive'
"""


class Moment:
    """The database's clock, as a test sets it."""

    def __init__(self) -> None:
        self.before_end_s = 900.0

    def __call__(self) -> ColumnElement[float]:
        return literal(END - self.before_end_s)


@pytest.fixture
def looks(engine: Engine) -> tuple[list[Overview], dict[str, str]]:
    """Two looks at a system at work, with a minute in between; and how its ids are called below."""
    at = Moment()
    store, queue = JobStore(engine, at), WorkQueue(engine, "desk", at)
    at.before_end_s = 800
    night = ready_job(engine, entries(40), shard_size=8, clock=at, options=JobOptions(name="night desk"))
    run_id = RunStore(engine, at).create({}).id
    at.before_end_s = 100
    first, second, third = queue.claim(3, 600, fingerprints=[FINGERPRINT])
    queue.finish(first, results_of(first))
    at.before_end_s = 60
    seen = [overview(engine, at)]
    results = results_of(second, score=lambda ordinal: 0.9 if ordinal < 10 else 0.2)
    queue.finish(second, [*results[:-1], unreadable(15, second.entries[-1])])
    queue.release(third, "the storage does not answer")
    preparing = store.submit(new_job())
    assert store.claim_preparation(60, preparing) is not None
    failed = store.submit(new_job())
    work = store.claim_preparation(60, failed)
    assert work is not None
    store.fail_preparation(work, "there is no bucket 'archive'")
    at.before_end_s = 10
    Dispatchers(engine, at).seen("desk", None)
    Dispatchers(engine, at).seen("lab", "2 more workers find no place")
    ready = HostedModel(fingerprint=FINGERPRINT, state=HostingState.READY)
    HostedModels(engine, at).renew("c1", "desk", [ready], 60)
    at.before_end_s = 0
    seen.append(overview(engine, at))
    return seen, {night: "NIGHT".ljust(16), preparing: "PREPARING".ljust(16), run_id: "RUN", failed: "FAILED"}


def shown(looks: tuple[list[Overview], dict[str, str]], width: int) -> str:
    rates = Rates()
    rates.update(looks[0][0])
    text = "\n".join(line.plain.rstrip() for line in top_lines(looks[0][1], rates.update(looks[0][1]), width))
    for known, name in looks[1].items():
        text = text.replace(known, name)
    return text + "\n"


def test_one_moment_letter_for_letter(looks: tuple[list[Overview], dict[str, str]]) -> None:
    assert shown(looks, 120) == GOLDEN


@pytest.mark.parametrize("width", [24, 40, 60, 80])
def test_a_narrow_terminal_is_shown_less_and_never_a_second_line(
    looks: tuple[list[Overview], dict[str, str]], width: int
) -> None:
    lines = shown(looks, width).splitlines()
    assert max(map(len, lines)) <= width
    (heading,) = [line for line in lines if line.startswith("job  ")]
    assert "done" in heading
    assert ("failed" in heading) is (width > 90)
    assert any(line.startswith("NIGHT") for line in lines)


@pytest.mark.parametrize("height", [16, 24])
def test_a_low_terminal_has_room_for_what_failed_and_says_how_many_jobs_are_left_out(
    engine: Engine, height: int
) -> None:
    store = JobStore(engine)
    failed = store.submit(new_job())
    work = store.claim_preparation(60, failed)
    assert work is not None
    store.fail_preparation(work, "no such bucket")
    for _ in range(30):
        ready_job(engine, entries(4))
    seen = overview(engine)
    lines = [line.plain for line in top_lines(seen, Rates().update(seen), 80, height)]
    assert len(lines) <= height
    assert lines[-1] == f"job {failed}: no such bucket"
    jobs = [line for line in lines if "ready" in line]
    assert 1 <= len(jobs) <= 20
    assert f"  and {30 - len(jobs)} more: nclscreen jobs" in lines


@pytest.mark.usefixtures("wiring")
def test_into_a_file_it_is_shown_once_and_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top"]) == 0
    told = capsys.readouterr().out
    assert "nobody works on this database" in told
    assert "\x1b" not in told


def test_as_a_document(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = ready_job(wiring.engine, entries(8))
    wiring.dispatchers.seen("desk", None)
    capsys.readouterr()
    assert run(["top", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in found["jobs"]] == [job_id]
    assert (found["jobs"][0]["share"], found["jobs"][0]["waits_for"]) == (0, None)
    assert found["figures"]["shards"]["queued"] == 2
    assert found["figures"]["retries"]["shard"] == {"expired": 0, "vanished": 0, "failed": 0}
    assert [each["name"] for each in found["dispatchers"]] == ["desk"]
    assert set(found) == {"at", "figures", "jobs", "dispatchers", "runs", "failures"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 60 columns and 12 lines."""
    stream = io.StringIO()
    monkeypatch.setattr(output, "out", Console(file=stream, force_terminal=True, width=60, height=12, highlight=False))
    return stream


def interrupted_after(looks: int) -> Iterator[None]:
    for _ in range(looks - 1):
        yield
    raise KeyboardInterrupt


def test_on_a_terminal_it_goes_on_until_ctrl_c_which_gives_the_screen_back(
    wiring: Wiring, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        ready_job(wiring.engine, entries(4))
    pauses = interrupted_after(3)
    asked: list[float] = []

    def pause(seconds: float) -> None:
        asked.append(seconds)
        next(pauses, None)

    monkeypatch.setattr(top.time, "sleep", pause)
    assert run(["top"]) == output.INTERRUPTED
    assert asked == [2.0] * 3
    told = terminal.getvalue()
    assert told.count("nobody works") == 3
    assert told.startswith("\x1b[?1049h"), "a screen of its own"
    assert told.rstrip().endswith("\x1b[?25h") or "\x1b[?1049l" in told, "given back"


def test_from_afar_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--api", "http://desk.example.org:8080", "top"]) == output.WRONG_USAGE
    assert "NCLSCREEN_DATABASE_URL" in capsys.readouterr().err
