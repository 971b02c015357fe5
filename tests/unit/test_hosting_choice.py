"""Which models are hosted: by urgency, without thrashing, and with room for what is under way."""

from __future__ import annotations

from jobs.domain import JobId, ModelDemand, ModelRef
from nclscreen.hosting.choosing import Choice, choose

A, B, C = "a" * 64, "b" * 64, "c" * 64
NO_ROOM = "its model waits for room: no more than 2 are hosted at once, as NCLSCREEN_MAX_HOSTED_MODELS says"


def demand(fingerprint: str, priority: int = 0) -> ModelDemand:
    return ModelDemand(
        model=ModelRef(name="m", fingerprint=fingerprint), priority=priority, first_job=JobId("j"), jobs=1
    )


def chosen(*wanted: ModelDemand, hosted: str = "", busy: str = "", spare: str = "", most: int = 2) -> Choice:
    """`hosted`, `busy`, `spare`: first letters of fingerprints. C is known nowhere when it is asked for as `c`."""
    return choose(
        wanted,
        hosted=[letter * 64 for letter in hosted],
        busy=[letter * 64 for letter in busy],
        spare=[letter * 64 for letter in spare],
        obstacle=lambda fingerprint: "not known" if fingerprint == "f" * 64 else None,
        most=most,
    )


def test_what_jobs_need_and_then_what_may_be_needed_next() -> None:
    assert chosen() == Choice()
    assert chosen(spare="a") == Choice(hosted=(A,))
    assert chosen(demand(B), spare="a") == Choice(hosted=(B, A))
    assert chosen(demand(B), demand(C), spare="a") == Choice(hosted=(B, C))
    assert chosen(demand(A), spare="a") == Choice(hosted=(A,))


def test_there_is_an_end_to_room_and_urgent_jobs_come_first() -> None:
    assert chosen(demand(A), demand(B), demand(C)) == Choice(hosted=(A, B), refused={C: NO_ROOM})
    assert chosen(demand(A), demand(B), demand(C, 5)) == Choice(hosted=(C, A), refused={B: NO_ROOM})


def test_who_waits_for_room_is_told_the_setting() -> None:
    (told,) = chosen(demand(A), demand(B), most=1).refused.values()
    assert "1" in told
    assert "NCLSCREEN_MAX_HOSTED_MODELS" in told


def test_equals_do_not_push_out_what_is_hosted() -> None:
    assert chosen(demand(A), demand(B), demand(C), hosted="cb") == Choice(hosted=(B, C), refused={A: NO_ROOM})


def test_what_is_not_known_takes_no_room() -> None:
    assert chosen(demand("f" * 64, 9), demand(A), demand(B), most=2) == Choice(
        hosted=(A, B), refused={"f" * 64: "not known"}
    )


def test_a_model_that_makes_room_is_hosted_until_its_shards_are_over() -> None:
    urgent = [demand(C, 5), demand(A), demand(B)]
    waiting = chosen(*urgent, hosted="ab", busy="ab")
    assert waiting == Choice(hosted=(A,), draining=(B,), refused={B: NO_ROOM, C: NO_ROOM})
    assert chosen(*urgent, hosted="ab", busy="a") == Choice(hosted=(C, A), refused={B: NO_ROOM})
    alone = [demand(C, 5), demand(A)]
    assert chosen(*alone, hosted="a", busy="a", most=1).draining == (A,)
    assert chosen(*alone, hosted="a", most=1).hosted == (C,)
