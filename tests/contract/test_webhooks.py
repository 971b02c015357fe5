"""Webhooks: every change of state is told, signed, once where all goes well, and for long where it does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from support.builders import Bench, entries, entry, new_job, ready_job, results_of
from support.queueing import claim
from support.servers.webhook_receiver import Heard, WebhookReceiver

from jobs.domain import JobId, JobOptions
from jobs.domain.states import JobState
from jobs.webhooks.outbox import PAUSES_S, TOLD_CASES, Deliveries, WebhookOutbox
from jobs.webhooks.sender import WebhookSender
from jobs.webhooks.urls import InvalidWebhook

KEY = b"k" * 32
LEASE_S = 60.0


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    server = WebhookReceiver()
    yield server
    server.close()


class Post:
    """Senders over one bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue = WebhookOutbox(bench.engine, bench.clock)
        self.stop = threading.Event()

    def step(self, *, key: bytes | None = KEY, only: JobId | None = None, timeout_s: float = 5.0) -> bool:
        return WebhookSender(self.queue, key=key, only=only, timeout_s=timeout_s).step(self.stop)

    def cancelled_job(self, url: str) -> JobId:
        """A job with four changes of state behind it."""
        job_id = ready_job(self.bench.engine, entries(4), clock=self.bench.clock, options=JobOptions(webhook=url))
        self.bench.store.cancel(job_id)
        return job_id

    def last_message(self, url: str) -> JobId:
        """A job of whose changes only the last one is still to be told."""
        job_id = self.bench.store.submit(new_job(options=JobOptions(webhook=url)))
        self.bench.store.cancel(job_id)
        cancelling, _ = self.queue.claim(2, LEASE_S, only=job_id)
        self.queue.delivered(cancelling)
        self.queue.release([_])
        return job_id


@pytest.fixture
def post(bench: Bench) -> Post:
    return Post(bench)


def types(heard: list[Heard]) -> list[str]:
    return [json.loads(each.body)["type"] for each in heard]


def test_every_change_of_state_is_told_in_its_order(post: Post, receiver: WebhookReceiver) -> None:
    bench = post.bench
    job_id = ready_job(bench.engine, entries(8), options=JobOptions(webhook=receiver.url, name="weekly"))
    first, second = claim(bench.queue(), 2)
    bench.store.pause(job_id)
    bench.queue().finish(first, results_of(first, score=lambda ordinal: 0.75))
    bench.store.resume(job_id)
    bench.queue().finish(second, results_of(second))
    bench.store.complete(job_id)
    while post.step():
        pass
    assert types(receiver.heard) == [
        "job.ready", "job.running", "job.pausing", "job.running", "job.completing", "job.completed",
    ]  # fmt: skip
    message = json.loads(receiver.heard[-1].body)
    job = bench.store.get(job_id)
    assert message["data"]["counts"] == {"total": 8, "scored": 8, "flagged": 4, "reused": 0, "failed": 0}
    assert (message["data"]["id"], message["data"]["name"], message["data"]["state"]) == (job_id, "weekly", "completed")
    assert message["data"]["finished_at"] is not None
    assert json.loads(receiver.heard[2].body)["data"]["counts"]["scored"] == 0  # as it was then
    assert receiver.heard[0].path == "/jobs?desk=1"
    assert receiver.heard[0].headers["content-type"] == "application/json"
    assert post.queue.summary(job_id) == Deliveries(delivered=6)
    assert job.state is JobState.COMPLETED


def test_the_last_message_names_the_most_suspect_cases(post: Post, receiver: WebhookReceiver) -> None:
    bench = post.bench
    scores = {"a": 0.9, "b": 0.2, "c": 0.97, "": 0.99} | {f"d{n}": 0.6 + n / 1000 for n in range(TOLD_CASES)}
    images = [entry(f"{name}/1.jpg", case=name or None) for name in scores]
    options = JobOptions(webhook=receiver.url, case_from="(?P<case>.+)/")
    job_id = ready_job(bench.engine, images, shard_size=len(images), options=options)
    (lease,) = claim(bench.queue(), 1)
    bench.queue().finish(lease, results_of(lease, score=list(scores.values()).__getitem__))
    bench.store.complete(job_id)
    while post.step():
        pass
    told = [json.loads(each.body)["data"].get("cases") for each in receiver.heard]
    assert set(map(type, told[:-1])) == {type(None)}, "not before it is over"
    assert [(each["case"], each["score"]) for each in told[-1][:3]] == [("c", 0.97), ("a", 0.9), ("d19", 0.619)]
    assert len(told[-1]) == TOLD_CASES
    assert "b" not in {each["case"] for each in told[-1]}


def test_messages_are_signed_as_standard_webhooks_are(post: Post, receiver: WebhookReceiver) -> None:
    post.cancelled_job(receiver.url)
    assert post.step()
    ids = set()
    for heard in receiver.heard:
        message_id, sent_at = heard.headers["webhook-id"], heard.headers["webhook-timestamp"]
        expected = hmac.new(KEY, f"{message_id}.{sent_at}.{heard.body}".encode(), hashlib.sha256).digest()
        assert heard.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
        assert int(sent_at) == pytest.approx(time.time(), abs=60)
        ids.add(message_id)
    assert len(ids) == 3


def test_without_a_webhook_nothing_is_told(post: Post) -> None:
    job_id = ready_job(post.bench.engine, entries(4))
    post.bench.store.cancel(job_id)
    assert not post.step()
    assert post.queue.summary(job_id) == Deliveries()


def test_what_is_rolled_back_is_not_told(post: Post, receiver: WebhookReceiver) -> None:
    job_id = ready_job(post.bench.engine, entries(4), options=JobOptions(webhook=receiver.url))
    while post.step():
        pass

    def break_off(c: object, cursor: object, statement: str, parameters: object, context: object, many: bool) -> None:
        if statement.startswith("UPDATE shards"):
            raise RuntimeError("the plug was pulled")

    event.listen(post.bench.engine, "before_cursor_execute", break_off)
    with pytest.raises(RuntimeError, match="plug"):
        post.bench.store.cancel(job_id)
    event.remove(post.bench.engine, "before_cursor_execute", break_off)
    assert not post.step()
    assert types(receiver.heard) == ["job.ready"]


# -- receivers as they are


def test_500_then_200_is_delivered_with_the_same_message(post: Post, receiver: WebhookReceiver) -> None:
    job_id = post.last_message(receiver.url)
    receiver.answers = [500]
    assert post.step()
    assert post.queue.summary(job_id) == Deliveries(delivered=1, waiting=1, error="answered 500")
    assert not post.queue.untried(job_id)  # nobody has to wait for the second attempt
    assert not post.step()
    post.bench.clock.advance(PAUSES_S[0] + 1)
    assert post.step()
    assert post.queue.summary(job_id) == Deliveries(delivered=2)
    first, second = receiver.heard
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert not post.step()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("hang", "no answer within 0.5 s"),
        ("drip", "no answer within 0.5 s"),
        ("drop", "RemoteDisconnected: Remote end closed connection without response"),
        (302, "answered 302: redirects are not followed; give the address it leads to"),
        (404, "answered 404"),
    ],
)
def test_a_receiver_that_does_not_take_it_is_asked_again_later(
    post: Post, receiver: WebhookReceiver, answer: int | str, reason: str
) -> None:
    job_id = post.last_message(receiver.url)
    receiver.answers = [answer]
    begin = time.monotonic()
    assert post.step(timeout_s=0.5)
    assert time.monotonic() - begin < 10
    assert post.queue.summary(job_id) == Deliveries(delivered=1, waiting=1, error=reason)
    assert [heard.path for heard in receiver.heard] == ["/jobs?desk=1"]
    post.bench.clock.advance(PAUSES_S[0] + 1)
    assert post.step()
    assert post.queue.summary(job_id).delivered == 2


def test_nobody_there_is_given_up_after_a_bounded_time(post: Post) -> None:
    silent = WebhookReceiver()
    silent.close()
    job_id = post.last_message(silent.url)
    post.bench.clock.stop()
    for pause in PAUSES_S:
        assert post.step()
        assert post.queue.summary(job_id).waiting == 1
        post.bench.clock.advance(pause - 1)
        assert not post.step()
        post.bench.clock.advance(2)
    assert post.step()
    fared = post.queue.summary(job_id)
    assert (fared.delivered, fared.waiting, fared.given_up) == (1, 0, 1)
    assert "ConnectionRefusedError" in str(fared.error)
    post.bench.clock.advance(1e6)
    assert not post.step()
    assert sum(PAUSES_S) < 24 * 3600


def test_a_receiver_that_is_gone_is_given_up_at_once(post: Post, receiver: WebhookReceiver) -> None:
    job_id = post.last_message(receiver.url)
    receiver.answers = [410]
    assert post.step()
    assert post.queue.summary(job_id) == Deliveries(delivered=1, given_up=1, error="answered 410")


def test_a_receiver_that_hangs_does_not_hold_up_the_others(post: Post, receiver: WebhookReceiver) -> None:
    slow = WebhookReceiver()
    slow.answers = ["hang"] * 10
    stuck = post.last_message(slow.url)
    job_id = post.last_message(receiver.url)
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(post.step, timeout_s=3.0)
        deadline = time.monotonic() + 30
        while not receiver.heard:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not step.done()
        slow.close()
        step.result()
    assert post.queue.summary(job_id).delivered == 2
    assert post.queue.summary(stuck).waiting == 1


def test_without_a_secret_nothing_is_sent_and_it_is_said_why(post: Post, receiver: WebhookReceiver) -> None:
    job_id = post.last_message(receiver.url)
    assert post.step(key=None)
    assert "NCLSCREEN_WEBHOOK_SECRET is not set" in str(post.queue.summary(job_id).error)
    assert receiver.heard == []
    post.bench.clock.advance(PAUSES_S[0] + 1)
    assert post.step()
    assert len(receiver.heard) == 1


# -- senders that vanish, stop, meet


def test_several_senders_send_each_message_once(post: Post, receiver: WebhookReceiver) -> None:
    for _ in range(12):
        post.cancelled_job(receiver.url)
    start = threading.Barrier(3)

    def work() -> None:
        start.wait()
        while post.step():
            pass

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(work) for _ in range(3)]:
            future.result()
    sent = [heard.headers["webhook-id"] for heard in receiver.heard]
    assert len(sent) == len(set(sent)) == 36


def test_what_a_killed_sender_had_is_sent_by_another_and_the_late_one_changes_nothing(
    post: Post, receiver: WebhookReceiver
) -> None:
    job_id = post.last_message(receiver.url)
    (late,) = post.queue.claim(8, LEASE_S)
    assert post.queue.untried(job_id)
    assert not post.step()
    post.bench.clock.advance(LEASE_S + 1)
    (again,) = post.queue.claim(8, LEASE_S)
    post.queue.failed(late, "too late", for_good=True)
    post.queue.release([late])
    post.queue.delivered(again)
    post.queue.failed(late, "too late", for_good=True)
    assert post.queue.summary(job_id) == Deliveries(delivered=2)


def test_a_sender_that_is_to_stop_gives_the_rest_back(post: Post, receiver: WebhookReceiver) -> None:
    job_id = post.cancelled_job(receiver.url)
    post.stop.set()
    assert post.step()
    assert receiver.heard == []
    assert post.queue.summary(job_id) == Deliveries(waiting=3)
    post.stop.clear()
    assert post.step()
    assert types(receiver.heard) == ["job.ready", "job.cancelling", "job.cancelled"]


def test_a_sender_for_one_job_leaves_the_others_alone(post: Post, receiver: WebhookReceiver) -> None:
    post.cancelled_job(receiver.url)
    mine = post.cancelled_job(receiver.url)
    assert post.step(only=mine)
    assert not post.step(only=mine)
    assert {json.loads(heard.body)["data"]["id"] for heard in receiver.heard} == {mine}


def test_an_address_that_is_none_is_refused_when_the_job_is_submitted(bench: Bench) -> None:
    with pytest.raises(InvalidWebhook, match="it must begin with https:// or http://"):
        bench.store.submit(new_job(options=JobOptions(webhook="ftp://x/")))
    assert bench.store.latest() == []
