"""What could not be tested in a job is counted once it is over, and once only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.builders import entry, ready_job
from support.empty_databases import empty_database

from jobs.domain import Job, JobId
from jobs.domain.states import FINAL, JobState
from jobs.lifecycle.job_store import JobStore
from jobs.verdicts import untestable
from jobs.verdicts.untestable import UntestableCounts


class Counted:
    """Says for each job how often it was counted."""

    def __init__(self) -> None:
        self.asked: list[JobId] = []

    def __call__(self, job_id: JobId) -> dict[str, int]:
        self.asked.append(job_id)
        return {"traces": len(self.asked)}


@pytest.fixture
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    engine = empty_database(tmp_path_factory.mktemp("db") / "jobs.db")
    found = JobStore(engine).get(ready_job(engine, [entry("a.jpg")]))
    engine.dispose()
    return found


@pytest.mark.parametrize("state", sorted(JobState))
def test_jobs_are_counted_when_nothing_more_comes_or_goes(job: Job, state: JobState) -> None:
    count = Counted()
    counts = UntestableCounts(count)
    over = state in FINAL and state is not JobState.DELETING
    assert counts.of(replace(job, state=state)) == ({"traces": 1} if over else None)
    assert counts.of(replace(job, state=state, verdicts_removed_at=1.0)) is None
    assert count.asked == [job.id] * over


def test_the_largest_jobs_are_left_to_their_reports(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    count = Counted()
    counts = UntestableCounts(count)
    over = replace(job, state=JobState.COMPLETED, counts=replace(job.counts, scored=9, reused=1))
    monkeypatch.setattr(untestable, "_LARGEST", 9)
    assert counts.of(over) is None
    monkeypatch.setattr(untestable, "_LARGEST", 10)
    assert counts.of(over) == {"traces": 1}
    assert count.asked == [job.id]


def test_each_is_counted_once_while_it_is_kept(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untestable, "_MOST", 2)
    count = Counted()
    counts = UntestableCounts(count)
    one, two, three = (replace(job, state=JobState.COMPLETED, id=JobId(name)) for name in ("one", "two", "three"))
    for asked in (one, two, one, three, one):
        counts.of(asked)
    assert count.asked == ["one", "two", "three"]
    counts.of(two)
    assert count.asked == ["one", "two", "three", "two"]


def test_what_is_given_out_changes_nothing_that_is_kept(job: Job) -> None:
    counts = UntestableCounts(Counted())
    over = replace(job, state=JobState.COMPLETED)
    given = counts.of(over)
    assert given is not None
    given["traces"] = 7
    assert counts.of(over) == {"traces": 1}
