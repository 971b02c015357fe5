"""Keys, projects, sessions, the audit log on both databases: what is kept opens nothing, nothing is seen across."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select
from support.builders import FINGERPRINT, MODEL, Bench, entry, ready_job, scored

from jobs.access import AuditLog, KeyStore, KeyText, ProjectStore, SessionStore
from jobs.access.errors import InvalidProject, KeyNotFound, KeyRefused, ProjectNotFound
from jobs.access.session_store import SESSION_S
from jobs.domain import ImageRef, JobId, NewJob, Verdict, VerdictRef
from jobs.domain.access import DEFAULT_PROJECT, OPERATOR, ProjectName, Scope
from jobs.domain.places import ANY_BUCKET, Places
from jobs.errors import InvalidCursor, JobNotFound, TokenReused, VerdictNotFound
from jobs.lifecycle.job_filters import JobFilter
from jobs.lifecycle.job_store import JobStore
from jobs.lifecycle.retries import retry_request
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.sql.access_tables import api_keys, sessions
from jobs.sql.database import reading
from jobs.verdicts import VerdictFilter, VerdictStore

DESK, LAB = ProjectName("desk"), ProjectName("lab")


@pytest.fixture
def keys(bench: Bench) -> KeyStore:
    return KeyStore(bench.engine, bench.clock)


def screened(bench: Bench, project: ProjectName, name: str = "a.jpg") -> JobId:
    """A job of a project with one flagged image."""
    image = entry(name, size=10)
    job_id = ready_job(bench.engine, [image], project=project)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, scored_one(image))
    return job_id


def scored_one(image: ImageRef) -> list[Verdict]:
    return [replace(scored(0, image, 0.9), size=image.size)]


def test_a_key_is_known_again_and_not_kept(keys: KeyStore, bench: Bench) -> None:
    made, text = keys.create(DESK, "ann", [Scope.READ, Scope.REVIEW])
    caller = keys.caller(text.text)
    assert (caller.name, caller.project, caller.key_id) == ("ann", DESK, made.id)
    assert caller.may(Scope.REVIEW)
    assert not caller.may(Scope.SUBMIT)
    with reading(bench.engine) as connection:
        row = connection.execute(select(api_keys)).one()
    assert text.text.split("_")[2] not in str(row)
    assert repr(text) == f"KeyText({made.id})"


def test_admin_may_everything(keys: KeyStore) -> None:
    _, text = keys.create(DESK, "root", [Scope.ADMIN])
    assert all(keys.caller(text.text).may(scope) for scope in Scope)


def test_other_keys_are_refused_alike(keys: KeyStore) -> None:
    _, text = keys.create(DESK, "ann", [Scope.READ])
    stranger = KeyText.new()
    body = text.text.rpartition("_")[0]
    forged = f"{body[:-1]}{'0' if body[-1] != '0' else '1'}"
    said = set()
    for wrong in (stranger.text, with_check(forged)):
        with pytest.raises(KeyRefused) as refused:
            keys.caller(wrong)
        said.add(str(refused.value))
    assert len(said) == 1, "nobody learns whether there is a key of this id"


def with_check(body: str) -> str:
    from jobs.access.key_text import _check

    return f"{body}_{_check(body)}"


def test_a_key_ends_by_its_time_or_by_hand(keys: KeyStore, bench: Bench) -> None:
    assert not keys.any_in_use()
    short, text = keys.create(DESK, "ann", [Scope.READ], lifetime_s=60)
    assert keys.any_in_use()
    bench.clock.advance(61)
    assert not keys.any_in_use()
    with pytest.raises(KeyRefused):
        keys.caller(text.text)
    _, other = keys.create(DESK, "bob", [Scope.READ])
    assert keys.caller(other.text).name == "bob"
    revoked = keys.revoke(other.id)
    assert revoked.revoked_at is not None
    assert keys.revoke(other.id) == revoked, "once is enough"
    with pytest.raises(KeyRefused):
        keys.caller(other.text)
    assert [key.name for key in keys.all()] == ["bob", "ann"]
    assert keys.get(short.id).last_used_at is None


def test_the_last_use_is_written_now_and_then(keys: KeyStore, bench: Bench) -> None:
    made, text = keys.create(DESK, "ann", [Scope.READ])
    keys.caller(text.text)
    first = keys.get(made.id).last_used_at
    assert first is not None
    bench.clock.advance(30)
    keys.caller(text.text)
    assert keys.get(made.id).last_used_at == first, "not at every request"
    bench.clock.advance(31)
    keys.caller(text.text)
    assert (keys.get(made.id).last_used_at or 0) > first


def test_a_project_s_keys_are_its_own(keys: KeyStore) -> None:
    mine, _ = keys.create(DESK, "ann", [Scope.ADMIN])
    theirs, text = keys.create(LAB, "bob", [Scope.READ])
    assert [key.id for key in keys.all(DESK)] == [mine.id]
    with pytest.raises(KeyNotFound):
        keys.revoke(theirs.id, DESK)
    assert keys.caller(text.text).name == "bob"


def test_sessions_end_with_their_key_and_by_themselves(keys: KeyStore, bench: Bench) -> None:
    opened = SessionStore(bench.engine, bench.clock)
    made, text = keys.create(DESK, "ann", [Scope.READ])
    word = opened.open(keys.caller(text.text))
    assert keys.caller_of(opened.key_id(word)).name == "ann"
    with reading(bench.engine) as connection:
        assert word not in str(connection.execute(select(sessions)).one())
    with pytest.raises(KeyRefused):
        opened.key_id(word + "x")
    other = opened.open(keys.caller(text.text))
    opened.close(other)
    with pytest.raises(KeyRefused):
        opened.key_id(other)
    keys.revoke(made.id)
    with pytest.raises(KeyRefused):
        keys.caller_of(opened.key_id(word))
    bench.clock.advance(SESSION_S + 1)
    with pytest.raises(KeyRefused):
        opened.key_id(word)
    _, text = keys.create(DESK, "bob", [Scope.READ])
    opened.open(keys.caller(text.text))
    with reading(bench.engine) as connection:
        assert len(connection.execute(select(sessions)).all()) == 1, "what has expired is cleared away"


def test_projects_and_their_places(bench: Bench) -> None:
    projects = ProjectStore(bench.engine, bench.clock)
    assert [project.name for project in projects.all()] == [DEFAULT_PROJECT]
    assert projects.get(DEFAULT_PROJECT).places == ANY_BUCKET
    projects.create("desk", Places(("s3://archive/2026",)))
    for name in ("desk", "default", "", "Desk", "a b", "x" * 64, "é"):
        with pytest.raises(InvalidProject):
            projects.create(name)
    with pytest.raises(ProjectNotFound):
        projects.limit("nobody", ANY_BUCKET)
    projects.limit("default", Places(()))
    projects.limit("desk", ANY_BUCKET)
    assert [(each.name, str(each.places)) for each in projects.all()] == [
        ("default", "nowhere"),
        ("desk", "any bucket"),
    ]


def test_nothing_is_seen_across_projects(bench: Bench) -> None:
    mine, theirs = screened(bench, DESK), screened(bench, LAB)
    old = screened(bench, DEFAULT_PROJECT)
    store, verdicts = JobStore(bench.engine, project=DESK), VerdictStore(bench.engine, project=DESK)
    assert store.get(mine).project == DESK
    assert [job.id for job in store.page(JobFilter()).items] == [mine]
    assert {job.id for job in JobStore(bench.engine).page(JobFilter()).items} == {mine, theirs, old}
    for foreign in (theirs, old):
        for verb in (store.get, store.pause, store.resume, store.cancel, store.confirm, store.begin_deletion):
            with pytest.raises(JobNotFound):
                verb(foreign)
        with pytest.raises(JobNotFound):
            store.prioritize(foreign, 3)
        with pytest.raises(VerdictNotFound):
            verdicts.at(VerdictRef(job_id=foreign, ordinal=0))
        assert list(verdicts.stream(VerdictFilter(job_id=foreign))) == []
    assert [found.job_id for found in verdicts.stream(VerdictFilter(flagged=True))] == [mine]
    assert verdicts.at(VerdictRef(job_id=mine, ordinal=0)).verdict.score == 0.9


def test_a_list_of_one_project_is_not_continued_by_another(bench: Bench) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        screened(bench, DESK, name)
        screened(bench, LAB, name)
    desk, lab = (VerdictStore(bench.engine, project=project) for project in (DESK, LAB))
    page = desk.page(VerdictFilter(flagged=True), 2)
    assert page.next_cursor is not None
    assert len(desk.page(VerdictFilter(flagged=True), 2, page.next_cursor).items) == 1
    with pytest.raises(InvalidCursor):
        lab.page(VerdictFilter(flagged=True), 2, page.next_cursor)


def test_what_another_project_screened_is_not_taken_over(bench: Bench) -> None:
    screened(bench, LAB)
    again = ready_job(bench.engine, [entry("a.jpg", size=10)], project=DESK)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=again)
    assert KnownVerdicts(bench.engine).recall(lease).known == ()
    bench.queue().finish(lease, scored_one(entry("a.jpg", size=10)))
    third = ready_job(bench.engine, [entry("a.jpg", size=10)], project=DESK)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=third)
    assert len(KnownVerdicts(bench.engine).recall(lease).known) == 1


def test_tokens_are_a_project_s_own(bench: Bench) -> None:
    def new(source: str) -> NewJob:
        return NewJob(source=source, model=MODEL, threshold=0.5, token="monday")

    stores = [JobStore(bench.engine, project=project) for project in (None, DESK, LAB)]
    made = [store.request(new(f"/{place}")) for place, store in enumerate(stores)]
    assert len({each.job_id for each in made}) == 3
    for place, store in enumerate(stores):
        assert store.request(new(f"/{place}")).job_id == made[place].job_id
        with pytest.raises(TokenReused) as reused:
            store.request(new("/elsewhere"))
        assert reused.value.job_id == made[place].job_id


def test_a_retry_stays_in_its_project(bench: Bench) -> None:
    job_id = screened(bench, DESK)
    store = JobStore(bench.engine, bench.clock)
    store.cancel(job_id)
    again = store.submit(retry_request(store.get(job_id)))
    assert store.get(again).project == DESK


def test_the_audit_log_in_pages(bench: Bench, keys: KeyStore) -> None:
    log = AuditLog(bench.engine, bench.clock)
    _, text = keys.create(DESK, "ann", [Scope.ADMIN])
    caller = keys.caller(text.text)
    for n in range(5):
        log.add(caller, "pause_job", f"/v1/jobs/{n}/pause", 200)
    log.add(OPERATOR, "post_key", "/v1/keys\x00", 201)
    assert len(log.page().items) == 6
    first = log.page(DESK, 3)
    rest = log.page(DESK, 3, first.next_cursor)
    assert [entry.subject[9] for entry in (*first.items, *rest.items)] == ["4", "3", "2", "1", "0"]
    assert rest.next_cursor is None
    assert {entry.actor for entry in first.items} == {"ann"}
    with pytest.raises(InvalidCursor):
        log.page(LAB, 3, first.next_cursor)
