"""One attempt at a shard, and how its end is told: errors become outcomes, so that they travel without surprises."""

from __future__ import annotations

from collections.abc import Callable

from jobs.domain import Lease, Verdict
from jobs.errors import HeatmapsUnavailable, ModelMismatch, ModelUnavailable, StorageAway, StorageError
from jobs.ports import Outcome, OutcomeKind

Screen = Callable[[Lease], list[Verdict]]


def attempt(screen: Screen, lease: Lease) -> Outcome:
    """Screen a shard; whatever it raises becomes an outcome."""
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
