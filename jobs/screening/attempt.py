"""One attempt at a shard, and how its end is told: errors become outcomes, so that they travel without surprises."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from jobs.domain import Lease, Verdict
from jobs.errors import HeatmapsUnavailable, ModelMismatch, ModelUnavailable, StorageAway, StorageError
from jobs.ports import Outcome, OutcomeKind
from jobs.screening.stage_times import StageTotals, totalled
from jobs.spans import Attribute, Timed

Screen = Callable[[Lease], list[Verdict]]


def attempt(screen: Screen, lease: Lease) -> Outcome:
    """Screen a shard; whatever it raises becomes an outcome. One that is of a trace is timed."""
    if lease.traceparent is None:
        return _attempt(screen, lease)
    began, stages = time.time(), StageTotals()
    with totalled(stages):
        outcome = _attempt(screen, lease)
    where: dict[str, Attribute] = {"host": socket.gethostname(), "process": os.getpid()}
    timed = Timed(name="shard", began=began, ended=time.time(), attributes=where, parts=stages.parts())
    return replace(outcome, timed=timed)


def _attempt(screen: Screen, lease: Lease) -> Outcome:
    try:
        return Outcome(lease=lease, kind=OutcomeKind.FINISHED, verdicts=tuple(screen(lease)))
    except (ModelUnavailable, ModelMismatch) as error:
        return Outcome(lease=lease, kind=OutcomeKind.MODEL_AWAY, reason=str(error))
    except HeatmapsUnavailable as error:
        return Outcome(lease=lease, kind=OutcomeKind.UNAVAILABLE, reason=str(error))
    except StorageAway as error:
        return Outcome(lease=lease, kind=OutcomeKind.STORAGE_AWAY, reason=str(error))
    except StorageError as error:
        kind = OutcomeKind.BROKEN if error.transient else OutcomeKind.IMPOSSIBLE
        return Outcome(lease=lease, kind=kind, reason=str(error))
    except Exception as error:  # noqa: BLE001 - a surprise must not take the dispatcher along
        return Outcome(lease=lease, kind=OutcomeKind.BROKEN, reason=f"{type(error).__name__}: {error}")
