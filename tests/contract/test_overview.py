"""What people see of a database in a terminal, read from either database, whatever names are in it."""

from __future__ import annotations

from support.builders import Bench, entries, new_job, ready_job
from support.queueing import claim

from jobs.domain import JobOptions, WorkKind
from jobs.operations.overview import overview
from jobs.registry.dispatchers import Dispatchers
from jobs.retraining.run_store import RunStore
from nclscreen.cli.top_view import Rates, top_lines

#: a terminal's codes, a line end, marks that turn the direction, markup of the library that prints
HOSTILE = "a\x1b[31mred\x1b]0;title\x07\nb\u202egpj.exe [bold]x[/bold] [/] \u65e5\u672c"


def lines(bench: Bench, width: int = 200) -> list[str]:
    seen = overview(bench.engine, bench.clock)
    return [line.plain for line in top_lines(seen, Rates().update(seen), width)]


def test_an_empty_database_says_that_nobody_works(bench: Bench) -> None:
    seen = overview(bench.engine, bench.clock)
    assert (list(seen.jobs), list(seen.dispatchers), list(seen.failures), list(seen.runs)) == ([], [], [], [])
    assert any("nobody works on this database; start: nclscreen up" in line for line in lines(bench))


def test_jobs_come_in_their_turn_and_say_what_they_wait_for(bench: Bench) -> None:
    later = ready_job(bench.engine, entries(8), clock=bench.clock)
    urgent = ready_job(bench.engine, entries(8), clock=bench.clock, options=JobOptions(priority=5))
    over = bench.store.submit(new_job())
    bench.store.cancel(over)
    preparing = bench.store.submit(new_job(options=JobOptions(priority=-1)))
    work = bench.store.claim_preparation(60, preparing)
    assert work is not None
    bench.store.rest_preparation(work, 5.0, "the bucket does not answer")
    (lease,) = claim(bench.queue(), 1, job_id=later)
    bench.queue().release(lease, "the storage is away")
    found = overview(bench.engine, bench.clock).jobs
    assert [(each.job.id, each.met) for each in found] == [
        (urgent, None),
        (later, "the storage is away"),
        (preparing, "the bucket does not answer"),
    ]


def test_dispatchers_are_there_until_they_are_not_seen_any_more(bench: Bench) -> None:
    bench.clock.stop()
    seen = Dispatchers(bench.engine, bench.clock)
    seen.seen("one", "2 more workers find no place")
    bench.clock.advance(100)
    seen.seen("two", None)
    found = overview(bench.engine, bench.clock).dispatchers
    assert [(each.name, each.is_gone, each.lacks) for each in found] == [
        ("two", False, None),
        ("one", True, "2 more workers find no place"),
    ]
    assert any(line.startswith("gone       one, last seen 1 min 4") for line in lines(bench))


def test_what_failed_for_good_is_told_with_its_reason(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    work = bench.store.claim_preparation(60, job_id)
    assert work is not None
    bench.store.fail_preparation(work, "no such bucket")
    runs = RunStore(bench.engine, bench.clock)
    run = runs.create({})
    (piece,) = runs.work.claim(WorkKind.RETRAINING, 1, 60)
    assert [each.id for each in overview(bench.engine, bench.clock).runs] == [run.id]
    runs.work.fail(piece, "out of memory", again_after_s=None)
    failures = {(each.what, each.subject): each.reason for each in overview(bench.engine, bench.clock).failures}
    assert failures["job", job_id] == "no such bucket"
    assert failures["retraining", run.id] == "out of memory"


def test_hostile_names_stay_on_their_line_and_say_nothing_to_the_terminal(bench: Bench) -> None:
    ready_job(bench.engine, entries(8), options=JobOptions(name=HOSTILE))
    ready_job(bench.engine, entries(8), source=f"s3://photos/{HOSTILE}")
    failed = bench.store.submit(new_job())
    work = bench.store.claim_preparation(60, failed)
    assert work is not None
    bench.store.fail_preparation(work, HOSTILE)
    Dispatchers(bench.engine, bench.clock).seen(HOSTILE, HOSTILE)
    for width in (20, 40, 80, 200):
        shown = lines(bench, width)
        assert len(shown) == len([line for each in shown for line in each.splitlines() or [""]])
        told = "".join(shown)
        assert not any(char in told for char in "\x1b\x07\n\r\u202e")
    assert "[bold]" in told, "markup is text"
