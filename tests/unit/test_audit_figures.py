"""What a reviewed sample says, held against counting by hand and against repeated draws from known populations."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from jobs.domain.audits import AuditStratum
from jobs.reviews.audit_figures import ReviewedStratum, audit_figures
from jobs.reviews.audit_sampling import STRATA, AuditSampler, allocated, random_numbers
from ncl_model.intervals import Stratum, finite_interval, stratified_interval, upper_bound


def reviewed(
    place: int, images: int, *, confirmed: int = 0, rejected: int = 0, unsure: int = 0, left: int = 0
) -> ReviewedStratum:
    name, flagged = STRATA[place]
    drawn = confirmed + rejected + unsure + left
    stratum = AuditStratum(name=name, flagged=flagged, images=images, drawn=drawn)
    return ReviewedStratum(stratum=stratum, confirmed=confirmed, rejected=rejected, unsure=unsure)


# ---- intervals ------------------------------------------------------------------------------------------------------
def by_counting(part: Stratum, confidence: float) -> tuple[float, float]:
    """Every number of hits in the population that neither tail refutes, with whole numbers."""
    hits, n, size = part
    tail = (1 - confidence) / 2
    kept = []
    for marked in range(hits, size - (n - hits) + 1):
        ways = [comb(marked, k) * comb(size - marked, n - k) for k in range(n + 1)]
        whole = comb(size, n)
        if sum(ways[: hits + 1]) / whole > tail and sum(ways[hits:]) / whole > tail:
            kept.append(marked)
    return kept[0] / size, kept[-1] / size


@pytest.mark.parametrize("part", [Stratum(k, n, 30) for n in (1, 5, 12, 29, 30) for k in {0, 1, n // 2, n}])
def test_limits_are_those_of_counting_all_samples(part: Stratum) -> None:
    assert finite_interval(part) == pytest.approx(by_counting(part, 0.95))


def test_in_a_large_population_they_are_those_of_drawing_with_replacement() -> None:
    low, high = finite_interval(Stratum(3, 100, 50_000_000))
    assert high == pytest.approx(upper_bound(3, 100, 0.975), abs=1e-5)
    assert low == pytest.approx(1 - upper_bound(97, 100, 0.975), abs=1e-5)


def test_who_has_seen_everything_knows_it() -> None:
    assert finite_interval(Stratum(7, 40, 40)) == (7 / 40, 7 / 40)
    assert finite_interval(Stratum(0, 0, 9)) == (0, 1)
    value, limits = stratified_interval([Stratum(7, 40, 40), Stratum(0, 60, 60)])
    assert (value, *limits) == pytest.approx((0.07, 0.07, 0.07))


@pytest.mark.parametrize("part", [Stratum(2, 1, 5), Stratum(-1, 1, 5), Stratum(1, 6, 5), Stratum(0, 0, 0)])
def test_impossible_counts_are_refused(part: Stratum) -> None:
    with pytest.raises(ValueError, match="is no count"):
        finite_interval(part)
    with pytest.raises(ValueError, match="nothing was drawn"):
        stratified_interval([Stratum(1, 2, 5), Stratum(0, 0, 5)])


def test_parts_weigh_as_much_as_they_are_large() -> None:
    parts = [Stratum(5, 10, 100), Stratum(1, 10, 900)]
    value, (low, high) = stratified_interval(parts)
    assert value == pytest.approx(0.1 * 0.5 + 0.9 * 0.1)
    (l1, u1), (l2, u2) = map(finite_interval, parts)
    assert low == pytest.approx(max(6 / 1000, value - np.hypot(0.1 * (0.5 - l1), 0.9 * (0.1 - l2))))
    assert high == pytest.approx(value + np.hypot(0.1 * (u1 - 0.5), 0.9 * (u2 - 0.1)))
    assert stratified_interval(parts[:1])[1] == finite_interval(parts[0])


# ---- figures --------------------------------------------------------------------------------------------------------
def test_figures_by_hand() -> None:
    figures = audit_figures(
        [
            reviewed(0, 100, confirmed=18, rejected=2),
            reviewed(1, 300, confirmed=10, rejected=20, unsure=3),
            reviewed(2, 600, confirmed=2, rejected=18),
            reviewed(3, 9000, confirmed=0, rejected=80, left=4),
        ]
    )
    assert figures.precision
    assert figures.missed_rate
    assert figures.missed_share
    assert figures.precision.value == pytest.approx((100 * 0.9 + 300 / 3) / 400)
    assert figures.missed_rate.value == pytest.approx(600 * 0.1 / 9600)
    assert figures.missed_share.value == pytest.approx(60 / (60 + 190))
    for estimate in (figures.precision, figures.missed_rate, figures.missed_share):
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


def test_nothing_is_said_of_what_nobody_has_seen() -> None:
    figures = audit_figures(
        [reviewed(0, 10, confirmed=3), reviewed(1, 10, unsure=2, left=3), reviewed(3, 9, rejected=1)]
    )
    assert (figures.precision, figures.missed_share) == (None, None)
    assert figures.missed_rate
    assert figures.missed_rate.value == 0
    assert figures.missed_rate.high > 0.5


def test_jobs_that_flag_nothing_or_everything() -> None:
    nothing = audit_figures([reviewed(3, 50, confirmed=5, rejected=45)])
    assert nothing.precision is None
    assert nothing.missed_share
    assert nothing.missed_share.value == nothing.missed_share.low == 1
    everything = audit_figures([reviewed(0, 50, confirmed=50)])
    assert everything.missed_rate is None
    assert everything.missed_share
    assert everything.missed_share.high == 0
    clean = audit_figures([reviewed(3, 50, rejected=50)])
    assert clean.missed_share is None


POPULATIONS = {
    "rare misses": ((60, 0.9), (140, 0.5), (800, 0.05), (19_000, 0.002)),
    "many misses": ((500, 0.95), (500, 0.6), (1000, 0.3), (3000, 0.1)),
    "few images": ((4, 0.75), (9, 0.34), (20, 0.1), (60, 0.02)),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_hold_as_often_as_they_say(name: str) -> None:
    """2,000 audits of a known population: what is true lies within the limits 95 % of the time at least."""
    population = [(images, round(images * share)) for images, share in POPULATIONS[name]]
    shares = allocated([images for images, _ in population], 120)
    found, missed = (sum(tampered for _, tampered in part) for part in (population[:2], population[2:]))
    truth = {
        "precision": found / sum(images for images, _ in population[:2]),
        "missed_rate": missed / sum(images for images, _ in population[2:]),
        "missed_share": missed / (missed + found),
    }
    rng = np.random.default_rng(7)
    rounds, held = 2000, dict.fromkeys(truth, 0)
    for _ in range(rounds):
        drawn = [
            (images, int(rng.hypergeometric(tampered, images - tampered, share)), share)
            for (images, tampered), share in zip(population, shares, strict=True)
        ]
        figures = audit_figures(
            [
                reviewed(place, images, confirmed=hits, rejected=share - hits)
                for place, (images, hits, share) in enumerate(drawn)
            ]
        )
        for figure, value in truth.items():
            estimate = getattr(figures, figure)
            held[figure] += estimate is not None and estimate.low - 1e-9 <= value <= estimate.high + 1e-9
    assert min(held.values()) / rounds >= 0.945, held


# ---- drawing --------------------------------------------------------------------------------------------------------
def drawn_from(
    scores: np.ndarray, *, threshold: float = 0.5, size: int = 40, seed: int = 0, chunk: int = 1000
) -> AuditSampler:
    sampler = AuditSampler(threshold=threshold, size=size, seed=seed)
    ordinals = np.arange(len(scores))
    for first in range(0, len(scores), chunk):
        part = slice(first, first + chunk)
        sampler.add(ordinals[part], scores[part], scores[part] >= threshold)
    return sampler


def test_a_sample_has_what_was_allotted_of_each_stratum_and_none_twice() -> None:
    scores = np.random.default_rng(0).beta(0.3, 2, 5000)
    sampler = drawn_from(scores)
    sample = sampler.sample()
    assert len(sample) == len({image.ordinal for image in sample}) == 40
    for place, stratum in enumerate(sampler.strata()):
        of_stratum = [scores[image.ordinal] for image in sample if image.stratum == place]
        assert len(of_stratum) == stratum.drawn >= 2
        low, high = ((0.75, 1), (0.5, 0.75), (0.25, 0.5), (0, 0.25))[place]
        assert all(low <= score <= high for score in of_stratum)
        assert stratum.images == int(((scores >= low) & (scores < high)).sum())
    first_half = {image.stratum for image in sample[:20]}
    assert len(first_half) > 2, "strata come mixed"


def test_the_same_seed_draws_the_same_however_the_images_come() -> None:
    scores = np.random.default_rng(1).beta(0.3, 2, 3000)
    sample = drawn_from(scores, seed=5).sample()
    assert drawn_from(scores, seed=5, chunk=7).sample() == sample
    assert drawn_from(scores, seed=6).sample() != sample


def test_every_image_of_a_stratum_is_as_likely() -> None:
    scores = np.full(50, 0.1)
    times = np.zeros(50)
    for seed in range(1000):
        for image in drawn_from(scores, size=10, seed=seed).sample():
            times[image.ordinal] += 1
    expected = 1000 * 10 / 50
    # without replacement the sum of squares is below that of 49 degrees of freedom; 85 is its 99.9 % point
    assert ((times - expected) ** 2 / expected).sum() < 85
    assert len(np.unique(random_numbers(np.arange(100_000), 0))) == 100_000


@pytest.mark.parametrize(
    ("images", "size", "shares"),
    [
        ((100, 100, 100, 100), 40, [10, 10, 10, 10]),
        ((100, 900, 400, 6400), 80, [10, 30, 8, 32]),
        ((3, 0, 500, 500), 40, [3, 0, 19, 18]),
        ((0, 0, 5, 5), 40, [0, 0, 5, 5]),
        ((50, 50, 1, 3), 40, [18, 18, 1, 3]),
        ((9000, 1, 1, 9000), 20, [9, 1, 1, 9]),
    ],
)
def test_what_is_drawn_of_each(images: tuple[int, ...], size: int, shares: list[int]) -> None:
    assert allocated(images, size) == shares


def test_a_sample_is_never_larger_than_asked_for() -> None:
    for images in combinations((0, 1, 2, 7, 30, 500), 4):
        for size in (10, 31, 600):
            shares = allocated(images, size)
            assert sum(shares) == min(size, sum(images))
            assert all(share <= count for share, count in zip(shares, images, strict=True))
