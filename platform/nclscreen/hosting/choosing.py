"""Which model versions a dispatcher hosts: those that jobs need, as far as they are known here and there is room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from jobs.domain import Fingerprint, ModelDemand


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Fingerprints by what becomes of them."""

    #: to be hosted, and claimed for
    hosted: tuple[Fingerprint, ...] = ()
    #: hosted still, for shards that are under way; not claimed for
    draining: tuple[Fingerprint, ...] = ()
    #: that jobs need and that are not hosted, each with the reason
    refused: dict[Fingerprint, str] = field(default_factory=dict)


def choose(
    demand: Sequence[ModelDemand],
    *,
    hosted: Collection[Fingerprint],
    busy: Collection[Fingerprint],
    spare: Sequence[Fingerprint],
    obstacle: Callable[[Fingerprint], str | None],
    most: int,
) -> Choice:
    """The models of the most urgent jobs; among equals those that are `hosted` already, then those asked for first.

    A model that has to make room goes once no shard of it is under way: while it is `busy`, its place is taken.
    `spare` models fill the room that is left, so that the next job does not wait for them. `obstacle` says why a
    model cannot be hosted here at all, or None.
    """
    refused: dict[Fingerprint, str] = {}
    wanted: list[Fingerprint] = []
    for each in sorted(demand, key=lambda each: (-each.priority, each.model.fingerprint not in hosted)):
        fingerprint = each.model.fingerprint
        why = obstacle(fingerprint) if len(wanted) < most else _no_room(most)
        if why is None:
            wanted.append(fingerprint)
        else:
            refused[fingerprint] = why
    wanted += [each for each in spare if each not in wanted and each not in refused][: most - len(wanted)]
    draining = tuple(each for each in hosted if each in busy and each not in wanted)
    new = [each for each in wanted if each not in hosted]
    for late in new[max(0, most - len(draining) - (len(wanted) - len(new))) :]:
        wanted.remove(late)
        refused[late] = _no_room(most)
    return Choice(hosted=tuple(wanted), draining=draining, refused=refused)


def _no_room(most: int) -> str:
    return f"its model waits for room: no more than {most} are hosted at once, as NCLSCREEN_MAX_HOSTED_MODELS says"
