"""Agreement by hand, and where an image stands by what was said of it."""

from __future__ import annotations

import dataclasses

import pytest

from jobs.domain import Decision, ImageKey, JobId, Review, VerdictRef
from jobs.domain.reviews import SecondLook
from jobs.reviews.agreement import cohens_kappa
from jobs.reviews.second_look import is_drawn, pair_of, second_look, standing
from jobs.sql.rows import hash_key

C, R, U = Decision.CONFIRMED, Decision.REJECTED, Decision.UNSURE
BLANK = Review(
    ref=VerdictRef(job_id=JobId("job"), ordinal=0), number=1, decision=None, reviewer="ann", note=None, severity=None,
    undoes=None, created_at=0.0, container="s3://c", key=ImageKey("k"), version_id=None, sha256=None, score=None,
    flagged=False, fingerprint="f",
)  # fmt: skip


def said(*words: tuple[Decision | None, bool] | int) -> list[Review]:
    """Decisions, each blind or not; a number takes the review of that number back."""
    found: list[Review] = []
    for number, word in enumerate(words, 1):
        if isinstance(word, int):
            found.append(dataclasses.replace(BLANK, number=number, undoes=word))
        else:
            found.append(dataclasses.replace(BLANK, number=number, decision=word[0], blind=word[1]))
    return found


def test_kappa_by_hand() -> None:
    """Of 50 images both confirm 20 and reject 15: 0.7 the same, 0.5 by chance, so (0.7 - 0.5) / 0.5."""
    found = cohens_kappa({(C, C): 20, (C, R): 5, (R, C): 10, (R, R): 15})
    assert (found.images, found.same) == (50, 35)
    assert found.by_chance == pytest.approx(0.5)
    assert found.kappa == pytest.approx(0.4)


def test_kappa_of_three_decisions() -> None:
    """First 50, 30, 20 of a hundred, second 46, 31, 23: by chance (50 * 46 + 30 * 31 + 20 * 23) / 100**2 = 0.369."""
    pairs = {(C, C): 39, (C, R): 6, (C, U): 5, (R, C): 3, (R, R): 25, (R, U): 2, (U, C): 4, (U, U): 16}
    found = cohens_kappa(pairs)
    assert (found.images, found.same) == (100, 80)
    assert found.by_chance == pytest.approx(0.369)
    assert found.kappa == pytest.approx((0.8 - 0.369) / (1 - 0.369))


def test_kappa_at_its_ends() -> None:
    assert cohens_kappa({(C, C): 3, (R, R): 4}).kappa == 1
    assert cohens_kappa({(C, R): 5, (R, C): 5}).kappa == pytest.approx(-1)
    assert cohens_kappa({(C, C): 9}).kappa is None
    assert cohens_kappa({}) == cohens_kappa({(C, C): 0})


@pytest.mark.parametrize(
    ("words", "pair", "state"),
    [
        ([], None, None),
        ([(C, False)], None, SecondLook.WANTED),
        ([(C, False), 1], None, None),
        ([(C, False), (R, False)], None, SecondLook.WANTED),
        ([(C, False), (C, True)], (C, C), SecondLook.AGREED),
        ([(C, False), (R, True)], (C, R), SecondLook.CONFLICT),
        ([(C, False), (R, False), (R, True)], (R, R), SecondLook.AGREED),
        ([(C, False), (R, True), (U, False)], (C, R), SecondLook.SETTLED),
        ([(C, False), (R, True), (U, False), 3], (C, R), SecondLook.CONFLICT),
        ([(C, False), (R, True), 2], None, SecondLook.WANTED),
        ([(C, False), (R, True), 2, (C, True)], (C, C), SecondLook.AGREED),
        ([(C, False), (U, True)], (C, U), SecondLook.CONFLICT),
        ([(C, False), (C, True), (R, False)], (C, C), SecondLook.AGREED),
    ],
)
def test_where_an_image_stands(
    words: list[tuple[Decision | None, bool] | int], pair: tuple[Decision, Decision] | None, state: SecondLook | None
) -> None:
    reviews = said(*words)
    assert pair_of(reviews) == pair
    assert second_look(reviews, drawn=True) == state
    undrawn = None if state is SecondLook.WANTED else state
    assert second_look(reviews, drawn=False) == undrawn


def test_what_stands_after_going_back() -> None:
    assert [each.number for each in standing(said((C, False), (R, False), 2, (U, False)))] == [1, 4]


def test_a_share_is_drawn_by_keys_and_grows() -> None:
    hashes = [hash_key(f"{number}.jpg") for number in range(4000)]
    drawn = {share: {each for each in hashes if is_drawn(each, share)} for share in (0.0, 0.2, 0.5, 1.0)}
    assert not drawn[0.0]
    assert drawn[1.0] == set(hashes)
    assert drawn[0.2] < drawn[0.5]
    assert abs(len(drawn[0.2]) / 4000 - 0.2) < 0.02
