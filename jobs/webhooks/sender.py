"""Sends what is to be told of jobs: signed, bounded in time, tried again for about sixteen hours."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs.domain import JobId, WorkKind
from jobs.leased_work.held import HeldWork, Hold
from jobs.leased_work.task import MAX_VANISHED, span_of
from jobs.webhooks.outbox import Delivery, WebhookOutbox
from jobs.webhooks.post import NotDelivered, post
from jobs.webhooks.signature import signed_headers
from jobs.webhooks.urls import InvalidWebhook

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
_BATCH = 4
#: jobs whose receivers are talked to at once, so that one that hangs does not hold up the others
_AT_ONCE = 4


class WebhookSender:
    """Empties the outbox; a `jobs.background.MaintenanceTask`."""

    name = WorkKind.WEBHOOK.value
    at_once = 1

    def __init__(
        self,
        queue: WebhookOutbox,
        *,
        held: HeldWork | None = None,
        key: bytes | None,
        hosts: Collection[str] = (),
        only: JobId | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`key` signs the messages; without one nothing is sent. `only`: the one job of which is told."""
        self._queue = queue
        self._held = held or HeldWork(queue.work)
        self._key = key
        self._hosts = frozenset(hosts)
        self._only = only
        self._timeout_s = timeout_s

    @property
    def busy(self) -> int:
        """It has threads of its own."""
        return 0

    @property
    def stuck(self) -> int:
        """Nothing it does can hang: every request has its limit."""
        return 0

    def pending(self, job_id: JobId) -> bool:
        """Whether a message of this job was never sent."""
        return self._queue.untried(job_id)

    def step(self, stop: threading.Event) -> bool:
        """Send a few messages that are due; gives whether there were any. Raises one of DATABASE_AWAY."""
        claimed = self._queue.claim(_BATCH, self._held.lease_s, self._only, self._held.ids)
        if not claimed:
            return False
        holds = {delivery.id: self._held.hold(delivery.work) for delivery in claimed}
        try:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook") as pool:
                # those of one job one after the other, as they came about
                for _ in pool.map(lambda messages: self._send_all(messages, holds, stop), by_job(claimed)):
                    pass
        finally:
            for hold in holds.values():
                self._held.drop(hold)
        return True

    def _send_all(self, deliveries: Sequence[Delivery], holds: Mapping[int, Hold], stop: threading.Event) -> None:
        for position, delivery in enumerate(deliveries):
            if stop.is_set():
                self._queue.release(deliveries[position:])
                return
            for waiting in deliveries[position:]:
                holds[waiting.id].progress()
            with span_of(delivery.work):
                self._send(delivery)

    def _send(self, delivery: Delivery) -> None:
        if delivery.work.vanished >= MAX_VANISHED:
            self._queue.failed(delivery, f"given up: {delivery.work.vanished} times its sender vanished", for_good=True)
            return
        try:
            if self._key is None:
                raise NotDelivered("NCLSCREEN_WEBHOOK_SECRET is not set where the dispatcher runs")
            headers = {
                "content-type": "application/json",
                "user-agent": "nclscreen",
                **signed_headers(self._key, delivery.message_id, int(time.time()), delivery.body),
            }
            post(delivery.url, delivery.body.encode(), headers, timeout_s=self._timeout_s, hosts=self._hosts)
        except (NotDelivered, InvalidWebhook) as error:
            for_good = isinstance(error, InvalidWebhook) or error.for_good
            logger.warning("webhook %s, attempt %d: %s", delivery.message_id, delivery.attempt, error)
            self._queue.failed(delivery, str(error), for_good=for_good)
        else:
            self._queue.delivered(delivery)


def by_job(deliveries: Iterable[Delivery]) -> list[list[Delivery]]:
    """The messages of each job, in their order."""
    groups: dict[JobId, list[Delivery]] = {}
    for delivery in deliveries:
        groups.setdefault(delivery.job_id, []).append(delivery)
    return list(groups.values())
