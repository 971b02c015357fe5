"""Which reviewed photographs are learnt from."""

from __future__ import annotations

from jobs.domain import Decision, ImageKey, JobId, Review, VerdictRef
from jobs.retraining.labelled import LabelledPhoto, choose


def review(sha256: str | None, decision: Decision | None, key: str = "a.jpg") -> Review:
    return Review(
        ref=VerdictRef(job_id=JobId("j"), ordinal=0),
        number=1,
        decision=decision,
        reviewer="ann",
        note=None,
        severity=None,
        undoes=None,
        created_at=0.0,
        container="s3://photos",
        key=ImageKey(key),
        version_id=None,
        sha256=sha256,
        score=0.9,
        flagged=True,
        fingerprint="f" * 64,
    )


def test_one_label_for_each_photograph_whatever_its_places() -> None:
    chosen, excluded = choose([review("b" * 64, Decision.REJECTED), review("b" * 64, Decision.REJECTED, "copy.jpg")])
    assert [(photo.sha256, photo.tampered) for photo in chosen] == [("b" * 64, False)]
    assert excluded == []


def test_what_is_left_out_says_why() -> None:
    chosen, excluded = choose(
        [
            review("a" * 64, Decision.CONFIRMED),
            review("b" * 64, Decision.CONFIRMED),
            review("b" * 64, Decision.REJECTED),
            review("c" * 64, Decision.UNSURE),
            review("d" * 64, None),
            review(None, Decision.REJECTED),
            review("e" * 64, Decision.REJECTED),
        ],
        evaluated={"e" * 64},
    )
    disputed = review("a" * 64, Decision.CONFIRMED)
    assert choose([disputed], disputed={disputed.ref})[1][0].reason == "two reviewers differ, and nobody has settled it"
    assert [photo.sha256[0] for photo in chosen] == ["a"]
    assert sorted((each.sha256 or "-")[0] + " " + each.reason for each in excluded) == [
        "- its bytes were never scored",
        "b reviews of the same bytes conflict",
        "c nobody is sure",
        "d nobody is sure",
        "e models are measured on it",
    ]


def test_three_in_ten_are_kept_for_judging_the_same_in_every_run() -> None:
    photos = [
        LabelledPhoto(
            sha256=f"{i:064x}",
            container="s3://photos",
            key=ImageKey("a.jpg"),
            version_id=None,
            tampered=False,
            score=None,
            fingerprint="f",
        )
        for i in range(2000)
    ]
    kept = [photo.held_out for photo in photos]
    assert 0.25 < sum(kept) / len(kept) < 0.35
    assert kept == [photo.held_out for photo in photos]
