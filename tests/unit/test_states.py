"""The state machine: every move, the drawing of it, and what follows from a look at the shards."""

from __future__ import annotations

import itertools
import re

import pytest

from jobs.domain import states
from jobs.domain.states import CLAIMABLE, FINAL, RECORDING, TRANSITIONS, JobState, check_transition, settled
from jobs.errors import IllegalTransition

ENDINGS = {JobState.CANCELLING, JobState.FAILING}
LIVE = set(JobState) - FINAL - ENDINGS


def drawn_moves() -> set[tuple[JobState, JobState]]:
    """The moves that the drawing in the module's docstring shows."""
    assert states.__doc__ is not None
    moves: set[tuple[JobState, JobState]] = set()
    for line in states.__doc__.splitlines():
        if "->" not in line:
            continue
        names = re.split(r"\s*<?->\s*", line.strip())
        both_ways = [arrow == "<->" for arrow in re.findall(r"<?->", line)]
        optional = [name.startswith("[") for name in names]
        plain = [name.strip("[]") for name in names]
        if plain[0] == "every live state":
            moves |= {(live, JobState(plain[1])) for live in LIVE}
            plain, both_ways, optional = plain[1:], both_ways[1:], optional[1:]
        for i, ((here, there), back) in enumerate(zip(itertools.pairwise(plain), both_ways, strict=True)):
            moves.add((JobState(here), JobState(there)))
            if back:
                moves.add((JobState(there), JobState(here)))
            if optional[i + 1]:
                moves.add((JobState(here), JobState(plain[i + 2])))
    return moves


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(JobState, JobState)))
def test_a_move_is_allowed_exactly_when_the_table_has_it(current: JobState, wanted: JobState) -> None:
    if wanted in TRANSITIONS[current]:
        check_transition(current, wanted)
    else:
        with pytest.raises(IllegalTransition) as raised:
            check_transition(current, wanted)
        assert (raised.value.current, raised.value.wanted) == (current, wanted)
        assert str(raised.value) == f"a job that is {current} cannot become {wanted}"


def test_the_drawing_shows_exactly_the_moves_of_the_table() -> None:
    table = {(current, wanted) for current, following in TRANSITIONS.items() for wanted in following}
    assert drawn_moves() == table


def test_every_state_has_its_line_in_the_table() -> None:
    assert set(TRANSITIONS) == set(JobState)


def test_a_job_is_over_when_it_completed_was_cancelled_or_failed_and_may_be_deleted_then() -> None:
    ends = {JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED}
    assert ends | {JobState.DELETING} == FINAL
    assert {state for state, following in TRANSITIONS.items() if JobState.DELETING in following} == ends


def test_every_live_state_can_be_cancelled_and_can_fail() -> None:
    assert all(TRANSITIONS[state] >= ENDINGS for state in LIVE)


def test_what_may_be_claimed_is_also_recorded() -> None:
    assert CLAIMABLE < RECORDING
    assert RECORDING <= LIVE


@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("leased", [False, True])
@pytest.mark.parametrize("current", list(JobState))
def test_a_look_at_the_shards_never_makes_an_illegal_move(current: JobState, queued: bool, leased: bool) -> None:
    after = settled(current, any_queued=queued, any_leased=leased)
    assert after is current or after in TRANSITIONS[current]
    if leased:
        assert after is current  # somebody still works
    assert settled(after, any_queued=queued, any_leased=leased) is after


@pytest.mark.parametrize(
    ("current", "queued", "leased", "after"),
    [
        (JobState.RUNNING, False, False, JobState.COMPLETING),
        (JobState.RUNNING, True, False, JobState.RUNNING),
        (JobState.RUNNING, False, True, JobState.RUNNING),
        (JobState.PAUSING, True, False, JobState.PAUSED),
        (JobState.PAUSING, False, False, JobState.COMPLETING),
        (JobState.PAUSING, True, True, JobState.PAUSING),
        (JobState.CANCELLING, True, False, JobState.CANCELLED),
        (JobState.CANCELLING, False, False, JobState.CANCELLED),
        (JobState.CANCELLING, True, True, JobState.CANCELLING),
        (JobState.FAILING, True, False, JobState.FAILED),
        (JobState.PREPARING, False, False, JobState.PREPARING),
        (JobState.READY, True, False, JobState.READY),
    ],
)
def test_settling(current: JobState, queued: bool, leased: bool, after: JobState) -> None:
    assert settled(current, any_queued=queued, any_leased=leased) is after
