"""Known verdicts are looked up beside the dispatcher's own thread: a slow database holds up no lease and no record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from jobs.domain import Lease
from jobs.outage import reason
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.sql.errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

#: shards looked up at once
LOOK_UPS_AT_ONCE = 4
#: claimed shards that may wait for it: no more, as they are held and do not start
MOST_WAITING = 2 * LOOK_UPS_AT_ONCE


class LookUps:
    """Leases on their way from the queue to a worker. For one thread, but for the looking up itself."""

    def __init__(self, known: KnownVerdicts | None) -> None:
        """Without `known`, nothing is looked up, and every lease is ready at once."""
        self._known = known
        self._pool = ThreadPoolExecutor(LOOK_UPS_AT_ONCE, thread_name_prefix="known")
        self._under_way: dict[Future[Lease], Lease] = {}

    @property
    def waiting(self) -> list[Lease]:
        """Those that are not ready."""
        return list(self._under_way.values())

    @property
    def room(self) -> int:
        """How many more may come."""
        return MOST_WAITING - len(self._under_way)

    def put(self, lease: Lease) -> None:
        self._under_way[self._pool.submit(self._recall, lease)] = lease

    def take(self, wanted: Callable[[Lease], bool]) -> list[Lease]:
        """Leases that are ready, with what is known of their images; those that nobody wants any more are dropped."""
        done = [future for future in self._under_way if future.done()]
        for future in done:
            del self._under_way[future]
        return [lease for lease in (future.result() for future in done) if wanted(lease)]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _recall(self, lease: Lease) -> Lease:
        """It is claimed: it must start in any case."""
        try:
            return lease if self._known is None else self._known.recall(lease)
        except DATABASE_AWAY as error:
            logger.warning("shard %d starts without what is known of its images: %s", lease.shard_id, reason(error))
        except Exception:
            logger.exception("shard %d starts without what is known of its images", lease.shard_id)
        return lease
